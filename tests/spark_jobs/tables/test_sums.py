"""Partial sums in a lake: the same as one sum, and read again only as far as something changed."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spark_jobs.exact import partial_sums
from spark_jobs.exact.moments import Moments
from spark_jobs.tables import sums, totals
from spark_jobs.tables.lake import Lake, run_in
from tests.lakes import read

EXTRACTOR = "drawn-f32-0"


def write(lake: Lake, runs: dict[str, NDArray[np.float32]]) -> None:
    """Write the embeddings of runs, 3 photos each, of two labels."""
    rows = [
        {
            "uri": f"file:///{run}/{i}.jpg",
            "etag": "1",
            "label": "ab"[i % 2],
            "embedding": x,
            "extractor_id": EXTRACTOR,
            "run_id": run,
        }
        for run, embeddings in runs.items()
        for i, x in enumerate(embeddings)
    ]
    lake.replace_where("embeddings", lake.rows("embeddings", rows), run_in(runs))


def fold_in(lake: Lake, run_id: str) -> Moments:
    found = totals.update(lake, run_id, EXTRACTOR)
    assert found is not None
    if found.photos is not None:
        found.photos.unpersist()
    return found.total


def assert_is_of(total: Moments, runs: dict[str, NDArray[np.float32]]) -> None:
    x = np.concatenate([*runs.values()])
    expected = Moments.of(x, [label for part in runs.values() for label in ["a", "b", "a"][: len(part)]])
    assert total.counts.tolist() == expected.counts.tolist()
    np.testing.assert_allclose(total.means, expected.means, rtol=1e-10)
    np.testing.assert_allclose(total.scatter, expected.scatter, rtol=0, atol=1e-10 * np.abs(expected.scatter).max())


def test_rows_are_read_from_the_bounds_of_their_files(lake: Lake) -> None:
    columns = ("run_id", "count", "moments_id", "total_count")
    write(lake, {f"r{i}": np.full((i, 2), i, np.float32) for i in (1, 2, 3)})
    fold_in(lake, "r3")
    bounds = lake.single_rows("moments", *columns[1:], extractor_id=EXTRACTOR)
    held = {tuple(row[column] for column in columns) for row in read(lake, "moments")}
    assert {tuple(row[column] for column in columns) for row in bounds} == held
    assert {row[:2] + row[3:] for row in held} == {("r1", 1, None), ("r2", 2, None), ("r3", 3, 6)}
    assert lake.single_rows("moments", "count", extractor_id="another") == []


def test_a_change_reads_what_it_is_in(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial_sums, "FULL", 2)  # photos of two numbers
    rng = np.random.default_rng(0)
    runs = {f"r{i:02}": rng.normal(size=(3, 2)).astype(np.float32) for i in range(40)}
    write(lake, runs)
    assert_is_of(fold_in(lake, "r39"), runs)
    held = {row["name"]: row["moments"] for row in read(lake, "sums")}
    assert len(held) >= 3  # else nothing was tried
    (newest,) = [row for row in read(lake, "moments") if row["total"] is not None]
    assert (newest["run_id"], newest["total_count"]) == ("r39", 120)

    asked: list[str] = []
    own = sums._parts

    def parts(lake: Lake, extractor_id: str, one: Any, there: set[str]) -> Any:
        asked.extend(run.name for run in one.loose)
        return own(lake, extractor_id, one, there)

    monkeypatch.setattr(sums, "_parts", parts)
    # A usual day reads no sum, and no other run.
    runs["r40"] = rng.normal(size=(3, 2)).astype(np.float32)
    write(lake, {"r40": runs["r40"]})
    assert_is_of(fold_in(lake, "r40"), runs)
    assert asked == []
    assert [row["run_id"] for row in read(lake, "moments") if row["total"] is not None] == ["r40"]
    # A photo of an old run is gone: its moments are withdrawn (by step 1), and what it is in is summed anew.
    runs["r03"] = runs["r03"][:2]
    write(lake, {"r03": runs["r03"]})
    lake.delete("moments", extractor_id=EXTRACTOR, run_id="r03")
    runs["r41"] = rng.normal(size=(3, 2)).astype(np.float32)
    write(lake, {"r41": runs["r41"]})
    assert_is_of(fold_in(lake, "r41"), runs)
    assert "r03" in asked
    assert len(asked) < 30
    now = {row["name"]: row["moments"] for row in read(lake, "sums")}
    assert now.keys() & held.keys()  # some are as they were
    assert held.keys() - now.keys()  # those that it was in are gone
    # Done again, everything is there.
    assert_is_of(fold_in(lake, "r41"), runs)
    # An empty lake keeps none.
    lake.delete("embeddings", extractor_id=EXTRACTOR)
    assert totals.update(lake, "r42", EXTRACTOR) is None
    assert read(lake, "sums") == read(lake, "moments") == []


def test_only_the_newest_row_holds_what_is_as_large_as_a_lake(lake: Lake) -> None:
    lake.create_tables("recognisers")
    for number, run in enumerate(("r1", "r2", "r2")):
        row = {"extractor_id": EXTRACTOR, "run_id": run, "labels": ["a"], "count": number, "whole": True}
        lake.replace_newest("recognisers", row | {"weights": [np.arange(3.0)]}, "whole", "weights")
    other = {"extractor_id": "other", "run_id": "r3", "labels": ["b"], "whole": True, "weights": [np.arange(2.0)]}
    lake.replace_newest("recognisers", other, "whole", "weights")
    found = sorted(
        read(lake, "recognisers", "run_id", "count", "labels", "whole", "weights"), key=lambda row: row["run_id"]
    )
    assert [tuple(row[name] for name in ("run_id", "count", "labels", "whole", "weights")) for row in found] == [
        ("r1", 0, ["a"], None, None),
        ("r2", 2, ["a"], True, [[0.0, 1.0, 2.0]]),
        ("r3", None, ["b"], True, [[0.0, 1.0]]),
    ]


def test_a_lake_of_an_older_version_is_emptied_bit_by_bit(lake: Lake) -> None:
    """Each of its rows holds a total; to write all of them anew at once would take the memory of all."""
    row = {"extractor_id": EXTRACTOR, "labels": ["a"], "whole": True, "weights": [np.arange(3.0)]}
    older = [row | {"run_id": f"r{number:02}"} for number in range(11)]
    lake.replace("recognisers", lake.rows("recognisers", older), extractor_id=EXTRACTOR)
    for run, left in (("r11", 3 + 1), ("r12", 1), ("r13", 1)):
        lake.replace_newest("recognisers", row | {"run_id": run}, "whole", "weights")
        found = read(lake, "recognisers", "run_id", "weights")
        assert sum(one["weights"] is not None for one in found) == left
    assert len(found) == 14
