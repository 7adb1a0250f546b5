"""Recognise photos with a lake's recogniser, and find the nearest photos of the lake; without Spark.

python -m spark_jobs.recognise photo.jpg --lake lake/
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import spark_jobs.tables.shell  # noqa: F401  # first: see there

# isort: split
import numpy as np
from numpy.typing import NDArray
from pyiceberg.catalog import Catalog

from orchard.lake import parents
from orchard.lake.tables import asking_aws, existing_catalog
from spark_jobs.answers.neighbours import Neighbour, nearest, newest
from spark_jobs.answers.regions import Look, Region, Searcher, holds_augmented, looking
from spark_jobs.exact.distance import Distance
from spark_jobs.exact.families import Families
from spark_jobs.exact.moments import Moments
from spark_jobs.exact.recogniser import Recogniser
from spark_jobs.extractor import photos
from spark_jobs.extractor.artefact import Extractor, ExtractorError
from spark_jobs.extractor.engines import Engine, decode, open_engine
from spark_jobs.running import shelf
from spark_jobs.running.objects import AddressError, read_whole
from spark_jobs.running.output import end
from spark_jobs.tables.location import LakeLocation

LABELS = 3


@dataclass(frozen=True)
class Label:
    """A label, and the recogniser's probability for it."""

    label: str
    probability: float


@dataclass(frozen=True)
class Parent:
    """A parent of labels, the sum of their probabilities, and the most probable of them."""

    parent: str
    probability: float
    best: Label


@dataclass(frozen=True)
class Recognised:
    """The answer for one photo: the most probable labels first, the nearest neighbours first.

    Attributes
    ----------
    parents : tuple of Parent
        The most probable ones; empty where the lake has no hierarchy.
    distance : float, optional
        To the nearest label's photos, where 1 is usual: see `spark_jobs.exact.distance`.
    known : bool
        False of a photo that is farther than 99% of the lake's own: nothing that the lake knows, whatever the labels.
    regions : tuple of Region, optional
        The surest first; None where nobody asked for them.
    """

    photo: str
    labels: tuple[Label, ...]
    neighbours: tuple[Neighbour, ...]
    parents: tuple[Parent, ...] = ()
    distance: float | None = None
    known: bool = True
    regions: tuple[Region, ...] | None = None


class LakeError(RuntimeError):
    """The lake holds nothing to recognise with."""


def recognise(
    names: Sequence[str], location: LakeLocation, artefact: str | None = None, pictures: Path | None = None
) -> tuple[list[Recognised], list[str]]:
    """Recognise photos, by the newest recogniser of the artefact's extractor (default: of all extractors).

    Parameters
    ----------
    names : sequence of str
        Paths, or ``file://`` and ``s3://`` addresses as the tables have them; one that is named twice counts twice.
    pictures : Path, optional
        A folder: find the regions of each photo, too, and draw them there, as ``<name>.regions.jpg``. A photo takes
        50 to 70 times as long then, unless it shows one fruit as the lake's photos do.

    Returns
    -------
    answers : list of Recognised
        Of the photos that could be read, in order.
    errors : list of str
        Of the others: which, and why.

    Raises
    ------
    LakeError
        There is no lake, or no recogniser of that extractor in it, or no place for pictures.
    ExtractorError
        The artefact cannot be read, or holds no maps to find regions in.
    """
    if pictures and pictures.exists() and not pictures.is_dir():
        raise LakeError(f"--regions {pictures}: expected a folder, or none yet; it is a file")
    if not location.is_s3 and not Path(location.root, "catalog.db").is_file():
        raise LakeError(
            f"There is no lake in {location.root}: `python -m spark_jobs.run_local PHOTOS --lake DIR` makes one."
        )
    catalog = existing_catalog(location.root, location.database)
    given = Extractor.load(artefact) if artefact else None
    row = newest(catalog, location.database, "recognisers", given.extractor_id if given else None)
    if row is None:
        known = f" of {given.extractor_id}" if given else ""
        raise LakeError(f"The lake {location.root} holds no recogniser{known}: run_local (or the DAG) makes one.")
    extractor = given or shelf.take(location.root, row["extractor_id"])
    recogniser = Recogniser(
        *(tuple(row["labels"]), np.array(row["weights"]), np.array(row["biases"]), row["shrinkage"]),
        temperature=row.get("temperature") or 1.0,  # recognisers of older versions have none
    )
    far: float = row.get("far") or np.inf  # recognisers of few photos, and of older versions, know of no limit
    engine, look = open_engine(extractor), None
    total = _moments(catalog, location.database, row) if pictures or np.isfinite(far) else None
    if pictures:
        if total is None:
            raise LakeError(
                f"The lake {location.root} holds no moments of its recogniser (run {row['run_id']}), which regions are "
                "found by: the next run makes them."
            )
        searcher = Searcher.of(
            extractor, engine, total, augmented=holds_augmented(catalog, location.database, extractor.extractor_id)
        )
        look = looking(searcher, pictures)
    rows, errors = _embed(names, extractor, engine, look)
    if not rows:
        return [], errors
    embeddings = np.stack([embedding for _, embedding, _ in rows])
    probabilities = recogniser.probabilities(embeddings)
    hierarchy = parents.read(catalog, location.database)
    neighbours = nearest(catalog, location.database, extractor.extractor_id, embeddings)
    distances = Distance.of(total, recogniser.shrinkage).to_nearest(embeddings) if total and np.isfinite(far) else None
    answers = []
    for i, ((name, _, regions), chances, near) in enumerate(zip(rows, probabilities, neighbours, strict=True)):
        best = np.argsort(-chances, kind="stable")[:LABELS]
        labels = tuple(Label(recogniser.labels[j], float(chances[j])) for j in best)
        of = _parents(recogniser.labels, chances, hierarchy) if hierarchy else ()
        distance = None if distances is None else float(distances[i])
        familiar = distance is None or distance <= far
        answers.append(Recognised(name, labels, tuple(near), of, distance, familiar, regions))
    return answers, errors


def _moments(catalog: Catalog, database: str, recogniser: Mapping[str, Any]) -> Moments | None:
    """Read what a recogniser was fitted from; None while a step is at work on it."""
    row = newest(catalog, database, "moments", recogniser["extractor_id"], run_id=recogniser["run_id"])
    return None if row is None or row["total"] is None else Moments.unpack(row["total"])


def _parents(labels: Sequence[str], chances: NDArray[np.float64], hierarchy: Mapping[str, str]) -> tuple[Parent, ...]:
    """Add up the probabilities of one photo's labels by parent."""
    families = Families.of(labels, hierarchy)
    sums = families.probabilities(chances[None])[0]
    found = []
    for i in np.argsort(-sums, kind="stable")[:LABELS]:
        best = int(np.argmax(np.where(families.membership[:, i] > 0, chances, -1.0)))
        found.append(Parent(families.parents[i], float(sums[i]), Label(labels[best], float(chances[best]))))
    return tuple(found)


def _embed(
    names: Sequence[str], extractor: Extractor, engine: Engine, look: Look | None
) -> tuple[list[tuple[str, NDArray[np.float32], tuple[Region, ...] | None]], list[str]]:
    """Embed the photos that can be read, and say why the others cannot."""
    rows, errors = [], []
    for name in names:
        try:
            data = read_whole(name)
            embedding = engine.embed([decode(data, extractor)])[0]
            rows.append((name, embedding, look(name, data, embedding) if look else None))
        except photos.PhotoError as error:
            errors.append(f"{name}: {error}")
        except AddressError as error:
            errors.append(str(error))
        except (FileNotFoundError, NotADirectoryError):
            errors.append(f"{name}: there is no such file")
        except IsADirectoryError:
            errors.append(f"{name}: it is a folder; expected a photo")
    return rows, errors


def describe(answer: Recognised) -> str:
    """Say what a photo is, for a person."""
    if not answer.known:
        said = ["nothing that the lake knows; the nearest of its photos:"]
    elif answer.parents:
        said = [_said(parent) for parent in answer.parents]
    else:
        said = [f"{label.label} {label.probability:.1%}" for label in answer.labels]
    lines = [f"{answer.photo}: {', '.join(said)}"]
    for one in answer.regions or ():
        left, top, right, bottom = one.box
        lines.append(f"  {one.label} {one.probability:.1%} from {left}, {top} to {right}, {bottom}")
    if answer.regions == ():
        lines.append("  no region that the lake knows")
    lines += [f"  {near.distance:8.3f}  {near.label}  {near.uri}" for near in answer.neighbours]
    return "\n".join(lines)


def _said(one: Parent) -> str:
    """Say a parent, and the label of it; ``Apple 93.0% (Golden-Delicious 61.0%)``."""
    best = "" if one.best.label == one.parent else f" ({one.best.label} {one.best.probability:.1%})"
    return f"{one.parent} {one.probability:.1%}{best}"


def _plain(answer: Recognised) -> dict[str, Any]:
    """Give what JSON is to hold: without regions where nobody asked for them."""
    plain = asdict(answer)
    if answer.regions is None:
        del plain["regions"]
    return plain


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m spark_jobs.recognise", description=__doc__)
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="path, or file:// or s3:// address, of a photo")
    parser.add_argument("--lake", required=True, metavar="DIR", help="the lake: a folder, or s3://bucket[/prefix]")
    parser.add_argument("--database", default="orchard", help="database of the tables (default: orchard)")
    parser.add_argument("--extractor", metavar="ARTEFACT", help="default: the one of the lake's newest recogniser")
    parser.add_argument(
        "--regions",
        type=Path,
        metavar="DIR",
        help="find what stands where in each photo, ten regions at most, and draw it as DIR/<name>.regions.jpg; takes "
        "up to 70 times as long a photo",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list, one object a photo")
    args = parser.parse_args(argv)
    try:
        with asking_aws():
            location = LakeLocation.parse(args.lake, args.database)
            answers, errors = recognise(args.photos, location, args.extractor, args.regions)
    except (ExtractorError, LakeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(list(map(_plain, answers)), indent=2) if args.json else "\n".join(map(describe, answers)))
    for unread in errors:
        print(f"error: {unread}", file=sys.stderr)
    return 2 if errors else 0


if __name__ == "__main__":
    end(main)
