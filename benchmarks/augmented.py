"""What augmented photos are good for: recognisers of photos alone, and of photos and augmented ones, on others.

    python -m benchmarks.augmented

Prints docs/recognition.md's table. Fruits-360's fruit is set before photos of packages of GroceryStoreDataset's train,
and tried on that data set's photos of the same fruit, too: none of them is learnt from.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.data_sets import DEFAULT as DATA
from benchmarks.data_sets import DataSet, data_sets
from benchmarks.near_twins import NAMES
from benchmarks.workload import default_weights
from orchard.photos.listing import canonical_prefix
from spark_jobs.augment_photos import augment_photos
from spark_jobs.augmenting.task import Task, pictures
from spark_jobs.exact import crossvalidation
from spark_jobs.exact.distance import Distance
from spark_jobs.exact.moments import Moments
from spark_jobs.exact.recogniser import Recogniser
from spark_jobs.extractor.architectures import ARCHITECTURES, DEFAULT, Look
from spark_jobs.extractor.artefact import FloatArray
from spark_jobs.extractor.looks import Network
from spark_jobs.measuring.sample import Sample
from spark_jobs.measuring.seen import Seen, embeddings, see

# Labels of GroceryStoreDataset, and those that Fruits-360 has for the same fruit.
SAME = {
    "Golden-Delicious": "Apple Golden 1",
    "Granny-Smith": "Apple Granny Smith",
    **{one: one for one in ("Avocado", "Banana", "Kiwi", "Lemon", "Mango", "Nectarine", "Orange", "Peach")},
    **{one: one for one in ("Pineapple", "Pomegranate")},
    **dict.fromkeys(("Anjou", "Conference", "Kaiser"), "Pear"),
    **dict.fromkeys(("Beef-Tomato", "Regular-Tomato", "Vine-Tomato"), "Tomato 1"),
    "Satsumas": "Clementine",
}
HEAD = ("network", "judged", "photos", "photos alone", "with augmented ones")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.augmented", description=__doc__)
    parser.add_argument("--each", type=int, default=2, help="augmented photos of a photo (default: %(default)s)")
    parser.add_argument("--weights", default=default_weights(), help=f"of {DEFAULT} (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="fruits-360 and grocery-store")
    args = parser.parse_args(argv)
    of_fruit, of_shops = data_sets(args.data)
    print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        made = []
        shop = pictures(str(args.data / "grocery-store" / "train" / "Packages"))
        for part, backgrounds in ((Path("fruits-360", "Training"), shop), (Path("grocery-store", "train"), ())):
            out = Path(folder, part)
            out.mkdir(parents=True)
            prefix = canonical_prefix(str(args.data / part))
            augment_photos(Task(prefix, canonical_prefix(str(out)), backgrounds, each=args.each))
            made.append(Sample.of(out))
        for name in NAMES:
            architecture = ARCHITECTURES[name]
            network = Network.of(architecture, args.weights if name == DEFAULT else "imagenet", architecture.input_size)
            for row in rows(network, of_fruit, of_shops, made):
                print(f"| `{name}` {row}", flush=True)


def rows(network: Network, of_fruit: DataSet, of_shops: DataSet, made: Sequence[Sample]) -> Iterator[str]:
    """Judge a network, with its numbers as they are and with their square roots."""
    fruit, fruit_test, shops, shops_val = (
        see(network, one) for one in (of_fruit.learnt, of_fruit.unseen, of_shops.learnt, of_shops.unseen)
    )
    fruit_made, shops_made = (see(network, one) for one in made)
    for look in (Look(), Look(feature="sqrt")):
        x, labels = together(look, shops, shops_val)
        same = [i for i, label in enumerate(labels) if label in SAME]
        fruit_in_shops = x[same], [SAME[labels[i]] for i in same]
        for learnt, augmented, judged, names in (
            (fruit, fruit_made, "fruits-360 Test", together(look, fruit_test)),
            (fruit, fruit_made, "the same fruit in shops", fruit_in_shops),
            (shops, shops_made, "grocery-store val", together(look, shops_val)),
        ):
            shares = [right(together(look, *parts), names) for parts in ((learnt,), (learnt, augmented))]
            yield row(look, judged, len(names[1]), shares)
        packages = [i for i, uri in enumerate(shops_val.uris) if "/Packages/" in uri]
        things = embeddings(look, [shops_val])[packages]
        shares = [refused(look, things, *parts) for parts in ((fruit,), (fruit, fruit_made))]
        yield row(look, "packages, refused by fruits-360", len(packages), shares)


def row(look: Look, judged: str, photos: int, shares: Sequence[float]) -> str:
    options = look.options and f"`{look.options}` "
    return f"{options}| {judged} | {photos:,} " + "".join(f"| {share:.1%} " for share in shares) + "|"


def together(look: Look, *parts: Seen) -> tuple[FloatArray, list[str]]:
    """Embeddings and labels of all parts."""
    return (
        np.concatenate([embeddings(look, [part]) for part in parts]),
        [label for part in parts for label in part.labels],
    )


def right(learnt: tuple[FloatArray, list[str]], judged: tuple[FloatArray, list[str]]) -> float:
    """Share of photos that a recogniser of others names rightly."""
    best = Recogniser.fit(Moments.of(*learnt)).best(judged[0])
    return float(np.mean(best == np.asarray(judged[1], dtype=object)))


def refused(look: Look, things: FloatArray, *parts: Seen) -> float:
    """Share of photos that a lake of others answers with nothing that it knows."""
    x, labels = together(look, *parts)
    division = crossvalidation.divide([uri for part in parts for uri in part.uris], labels, x, look.feature)
    far = crossvalidation.calibrate(labels, x, division).far
    moments = Moments.of(x, labels)
    distances = Distance.of(moments, Recogniser.fit(moments).shrinkage).to_nearest(things)
    return float(np.mean(distances > (np.inf if far is None else far)))


if __name__ == "__main__":
    main()
