"""Step 2: keeping and fitting, exports and pictures, options and their errors."""

import argparse
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from spark_jobs.exact.accuracy import Accuracy
from spark_jobs.exact.basis import Request
from spark_jobs.extract_embeddings import extract
from spark_jobs.reduce_embeddings import Options, Reduced, add_options, read_options, reduce_run
from spark_jobs.tables.lake import Lake
from tests.lakes import contents, embeddings, new_lake, row, sample, set_batch

FOUR = Options(Request(components=4, variance=None))


@pytest.fixture
def lake(spark: None, tmp_path: Path) -> Lake:
    return new_lake(tmp_path / "lake")


def run(lake: Lake, run_id: str, artefact: Path, rows: list[dict[str, object]], options: Options = FOUR) -> Reduced:
    set_batch(lake, run_id, artefact.stem, rows)
    extract(lake, run_id, artefact.stem, str(artefact))
    return reduce_run(lake, run_id, artefact.stem, options)


def test_growth_of_basis_coordinates_and_exports(lake: Lake, small_artefact: Path, tmp_path: Path) -> None:
    photos = sample(tmp_path / "photos", per_label=10)
    extractor_id = small_artefact.stem
    first = run(lake, "r1", small_artefact, [row(path) for path in photos[:30]])
    assert (first.photos, first.labels, first.components, first.why) == (30, 3, 4, "first basis")
    assert (first.projected, first.exported) == (30, 30)
    assert first.captured_of_best == pytest.approx(1.0, abs=1e-9)

    # A photo more changes little: kept, and only that photo is projected.
    photos[29].rename(photos[29].with_name("renamed.jpg"))
    renamed = photos[29].with_name("renamed.jpg")
    second = run(lake, "r2", small_artefact, [row(photos[29], "delete"), row(renamed)])
    assert (second.photos, second.why, second.basis_id) == (30, None, first.basis_id)
    assert second.captured_of_best == pytest.approx(1.0, abs=1e-9)

    # What is asked for decides, too.
    standardised = Options(Request(components=3, variance=None, standardize=True), shrinkage=0.5)
    third = reduce_run(lake, "r2", extractor_id, standardised)
    assert third.why is not None and third.why.startswith("asked for Request(components=3")
    assert (third.components, third.projected, third.shrinkage) == (3, 30, 0.5)
    assert third.basis_id != first.basis_id
    assert contents(lake, "coordinates", "basis_id") == [(third.basis_id,)] * 30
    never = reduce_run(lake, "r2", extractor_id, Options(FOUR.request, refit="never"))
    assert (never.basis_id, never.why, never.projected) == (third.basis_id, None, 0)

    # Another label changes no basis, and projects no other photo.
    relabelled = [row(path, "relabel", label="Fruit/small") for path in photos[:7]]
    fourth = run(lake, "r3", small_artefact, relabelled, standardised)
    assert (fourth.photos, fourth.labels, fourth.basis_id, fourth.why) == (30, 4, third.basis_id, None)
    assert (fourth.projected, fourth.exported) == (7, 29)
    assert contents(lake, "moments", "run_id", "count") == [("r1", 22), ("r2", 1), ("r3", 7)]

    # Exports: one basis' alone, equal to the table, as Parquet and as CSV.
    (folder,) = Path(lake.location.root, "exports", extractor_id).iterdir()
    assert folder.name == third.basis_id
    table = lake.table("coordinates").orderBy("uri").collect()
    parquet = pd.read_parquet(folder / "coordinates.parquet").sort_values("uri")
    csv = pd.concat(pd.read_csv(file) for file in folder.glob("coordinates.csv/*/*.csv")).sort_values("uri")
    for frame in (parquet, csv):
        assert frame["uri"].tolist() == [one.uri for one in table]
        np.testing.assert_allclose(frame[["pc1", "pc2", "pc3"]], [one.coordinates for one in table], rtol=1e-6)
    labels = pd.read_parquet(folder / "labels.parquet").sort_values("uri")
    assert labels["label"].tolist() == parquet["label"].tolist() == [one.label for one in table]
    assert labels["label"].tolist().count("Fruit/small") == 7
    assert {"renamed.jpg"} == {Path(uri).name for uri in parquet["uri"][parquet["run_id"].astype(str) == "r2"]}
    for name, begins in (
        ("variance.png", b"\x89PNG"),
        ("map.png", b"\x89PNG"),
        ("variance.svg", b"<?xml"),
        ("map.svg", b"<?xml"),
    ):
        picture = (folder / name).read_bytes()
        assert picture.startswith(begins)
        assert len(picture) > 5_000
    variance = pd.read_csv(folder / "variance.csv")
    assert variance["component"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(variance["explained"].cumsum(), variance["cumulative"])

    # Distributed = local.
    _, _, x = embeddings(lake)
    x = (x - x.mean(axis=0)) / np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    _, singular, _ = np.linalg.svd(x, full_matrices=False)
    np.testing.assert_allclose(variance["eigenvalue"], singular[:3] ** 2 / 29, rtol=1e-9)


ODD = ["$x^$", "Pomme $2_$3", "_peach", "\\frac{1}", "a\nb\x01c", "桃子 خوخ आड़ू 🍑", "x" * 300, "a--b"]
# As an XML comment holds them.
DRAWN = ["$x^$", "Pomme $2_$3", "_peach", "\\frac{1}", "a\\nb\\x01c", "桃子 خوخ आड़ू 🍑", f"{'x' * 39}…", "a- -b"]


def test_what_was_left_behind_is_caught_up_with(lake: Lake, small_artefact: Path, tmp_path: Path) -> None:
    photos = sample(tmp_path / "photos", per_label=4)
    extractor_id = small_artefact.stem
    set_batch(lake, "r1", extractor_id, [row(path, label=label) for path, label in zip(photos[:8], ODD, strict=True)])
    extract(lake, "r1", extractor_id, str(small_artefact))  # and its step 2 never ran
    exports = Path(lake.location.root, "exports")
    exports.write_text("a file where a folder should be")
    reduced = run(lake, "r2", small_artefact, [row(path) for path in photos[8:]])
    assert (reduced.photos, reduced.projected) == (16, 16)
    assert {run: count for run, count in contents(lake, "moments", "run_id", "count")} == {"r1": 8, "r2": 8}
    assert len(contents(lake, "coordinates", "uri")) == 16

    # No picture and no export fails a run; the next one makes them.
    what = [line.partition(":")[0] for line in reduced.unmade]
    assert (what, reduced.files) == (["exports", "variance.csv", "picture of the variance", "map"], ())
    exports.unlink()
    again = reduce_run(lake, "r2", extractor_id, FOUR)
    assert (again.unmade, again.projected, again.exported, len(again.files)) == ((), 0, 16, 5)
    (folder,) = exports.glob("*/*")
    drawn = ElementTree.parse(folder / "map.svg", ElementTree.XMLParser(target=Comments()))
    comments = {one.text.strip() for one in drawn.iter(ElementTree.Comment)}
    assert comments >= {*DRAWN}

    # Step 1 done again, and not step 2: what comes out as it was leaves all that was made of it,
    again = extract(lake, "r2", extractor_id, str(small_artefact))
    assert (again.embedded, again.withdrew) == (8, False)
    assert contents(lake, "moments", "run_id", "count") == [("r1", 8), ("r2", 8)]
    assert len(contents(lake, "coordinates", "uri")) == 16
    photos[8].unlink()  # and what does not takes it away.
    changed = extract(lake, "r2", extractor_id, str(small_artefact))
    assert (changed.embedded, changed.rejected, changed.withdrew) == (7, 1, True)
    assert contents(lake, "moments", "run_id", "count") == [("r1", 8)]
    assert {run for (run,) in contents(lake, "coordinates", "run_id")} == {"r1"}


class Comments(ElementTree.TreeBuilder):
    """Keeps what matplotlib says beside each text that it draws: the text."""

    def __init__(self) -> None:
        super().__init__(insert_comments=True)


def test_few_photos_make_no_basis_but_no_failure(lake: Lake, small_artefact: Path, tmp_path: Path) -> None:
    photos = sample(tmp_path / "photos", per_label=1)
    one = run(lake, "r1", small_artefact, [row(photos[0])])
    assert (one.photos, one.basis_id, one.labels) == (1, None, 1)
    assert one.accuracy_folds == one.accuracy_before == Accuracy()  # there was nothing to choose from
    gone = run(lake, "r2", small_artefact, [row(photos[0], "delete")])
    assert gone == Reduced()
    assert contents(lake, "embeddings", "uri") == contents(lake, "moments", "run_id") == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], Options(Request(None, 0.95))),
        (["--components", "7", "--standardize"], Options(Request(7, None, True))),
        (["--variance", "0.8", "--refit", "never", "--shrinkage", "0.25"], Options(Request(None, 0.8), "never", 0.25)),
    ],
)
def test_options(arguments: list[str], expected: Options) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert read_options(parser.parse_args(arguments)) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shrinkage", "2"], "--shrinkage: expected auto or a share in [0, 1], got '2'."),
        (["--shrinkage", "some"], "--shrinkage: expected auto or a share in [0, 1], got 'some'."),
        (["--components", "0"], "components: expected at least 1, got 0."),
        (["--variance", "95"], "variance: expected a share in (0, 1], such as 0.95, got 95.0."),
    ],
)
def test_bad_options(arguments: list[str], message: str) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    with pytest.raises(ValueError) as error:
        read_options(parser.parse_args(arguments))
    assert str(error.value) == message
