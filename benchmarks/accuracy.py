"""Accuracy, speed and size of networks x features x preprocessing, on real photos: `make accuracy`.

Each network sees each photo once a view, two views at a time on two cores. Networks whose weights cannot be had are
left out, and said. Prints docs/recognition.md's table, and puts it there.
"""

import argparse
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

from benchmarks.data_sets import DEFAULT as DATA
from benchmarks.data_sets import DataSet, data_sets
from benchmarks.workload import ROOT, artefact, default_weights
from local.docs import between
from spark_jobs.exact.accuracy import Accuracy
from spark_jobs.extractor import photos
from spark_jobs.extractor.architectures import ARCHITECTURES, DEFAULT, Look
from spark_jobs.extractor.artefact import ExtractorError
from spark_jobs.extractor.looks import Network
from spark_jobs.measuring.judgement import divide, judge
from spark_jobs.measuring.sample import Sample
from spark_jobs.measuring.seen import Seen, rate, see

PAGE = ROOT / "docs" / "recognition.md"
BEGIN = "<!-- `make accuracy` makes this table -->\n"
HEAD = ("network", "options", "fruits-360: by folds", "unseen", "grocery-store: by folds", "unseen", "photos/s", "MB")

_CROP = 0.875
_LOOKS = (Look(), Look(feature="sqrt"), Look(feature="sqrt", crop=_CROP))
_MORE = {
    "mobilenet_v2": (
        Look(((224, 224), (320, 320)), feature="sqrt", crop=_CROP),
        Look(((224, 224), (320, 320), (448, 448)), feature="sqrt"),
    ),
    "efficientnet_lite2": (Look(((260, 260), (320, 320), (384, 384)), feature="sqrt"),),
}

View = tuple[tuple[int, int], float | None]  # width and height, and the crop


@cache
def _network(name: str, weights: str, size: tuple[int, int]) -> Network:
    return Network.of(ARCHITECTURES[name], weights, size)


def _can_be_had(name: str, weights: str) -> None:
    _network(name, weights, ARCHITECTURES[name].input_size)


def show(name: str, weights: str, view: View, sample: Sample) -> Seen:
    """Show a network a sample, in a process of the pool."""
    size, crop = view
    return see(_network(name, weights, size), sample, partial(photos.decode, crop=crop))


def rows(name: str, weights: str, sets: Sequence[DataSet], pool: Executor) -> Iterator[str]:
    """Measure a network, and write a row a look.

    Raises
    ------
    ExtractorError
        Its weights cannot be had.
    """
    architecture = ARCHITECTURES[name]
    looks = (*_LOOKS, *_MORE.get(name, ()))
    views = {(size, look.crop): None for look in looks for size in look.sizes(architecture)}
    pool.submit(_can_be_had, name, weights).result()  # before all its views are waited for
    shown = {
        (view, sample): pool.submit(show, name, weights, view, sample)
        for view in views
        for one in sets
        for sample in (one.learnt, one.unseen)
    }
    usual = (architecture.input_size, None)
    divisions = {one.name: divide(shown[usual, one.learnt].result()) for one in sets}
    for look in looks:
        cells = [f"`{name}`", f"`{look.options}`" if look.options else ""]
        for one in sets:
            seen, unseen = (
                [shown[(size, look.crop), sample].result() for size in look.sizes(architecture)]
                for sample in (one.learnt, one.unseen)
            )
            found = judge(look, seen, unseen, division=divisions[one.name])
            cells += [_share(found.folds), f"{found.unseen or 0:.1%}"]
        views_alone = Look(look.views).options
        size = artefact("f32", "random:0", None, name, views_alone).stat().st_size / 1e6
        yield _row([*cells, f"{rate(look, seen):.0f}", f"{size:.0f}"])  # of the shop photos, which come last


def _share(found: Accuracy) -> str:
    return f"{found.share:.1%} ({found.low:.0%} to {found.high:.0%})" if found.share is not None else ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ARCHITECTURES)} (default: all)")
    parser.add_argument("--weights", default=default_weights(), help=f"of {DEFAULT} (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="fruits-360 and grocery-store")
    args = parser.parse_args(argv)
    if unknown := [name for name in args.names if name not in ARCHITECTURES]:
        parser.error(f"unknown: {', '.join(unknown)}; expected some of {', '.join(ARCHITECTURES)}")
    sets = data_sets(args.data)
    made, left_out = _row(HEAD) + _row(["---"] * len(HEAD)), []
    print(made, end="", flush=True)
    # Spawned: each begins with the memory of none of the others.
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        for name in args.names or ARCHITECTURES:
            try:
                for row in rows(name, args.weights if name == DEFAULT else "imagenet", sets, pool):
                    print(row, end="", flush=True)
                    made += row
            except ExtractorError as error:
                left_out.append(name)
                print(f"{name} is left out: {error}", flush=True)
    if left_out:
        made += f"\nLeft out, as their weights were not to be had: {', '.join(f'`{name}`' for name in left_out)}.\n"
    if not args.names:
        PAGE.write_text(between(PAGE, BEGIN, made), "utf-8")
        print(f"\nWritten into {PAGE.relative_to(ROOT)}.")


if __name__ == "__main__":
    main()
