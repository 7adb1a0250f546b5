"""What the years are made of: photos that come and go, a network that costs nothing, and the comparison of days."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import years
from benchmarks.days import PHASES, Day, chart, compare, record, requests_table
from benchmarks.drawn import DIMENSION, Photos, artefact, embeddings
from orchard.lake.ledger import behind
from orchard.lake.tables import open_catalog
from spark_jobs.exact.moments import Moments
from spark_jobs.extractor.artefact import Extractor
from spark_jobs.extractor.engines import decode, open_engine


def test_photos_come_change_and_go(tmp_path: Path) -> None:
    def held() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*.png")}

    there = Photos(tmp_path, np.random.default_rng(0))
    there.day(30, 5, 5)
    first = held()
    assert len(first) == len(there) == 30
    there.day(10, 3, 4)
    second = held()
    assert (len(second), len(first.keys() - second.keys()), len(second.keys() - first.keys())) == (36, 4, 10)
    assert sum(first[path] != second[path] for path in first.keys() & second.keys()) == 3


def test_the_drawn_network_is_one_that_workers_take(tmp_path: Path) -> None:
    there = Photos(tmp_path / "photos", np.random.default_rng(0))
    there.day(6, 0, 0)
    extractor = Extractor.load(artefact(tmp_path))
    paths = sorted((tmp_path / "photos").rglob("*.png"))
    made = open_engine(extractor).embed([decode(path.read_bytes(), extractor) for path in paths])
    assert made.shape == (6, DIMENSION)
    assert np.linalg.matrix_rank(made) == 6
    np.testing.assert_allclose(made, embeddings(paths), rtol=1e-5, atol=1e-5)


def day(number: int) -> Day:
    late = number >= 60
    seconds = dict.fromkeys(PHASES[:-1], 1.5 if late else 1.0) | ({"maintain": 9.0} if number == 30 else {})
    return Day(number, 20 * number, seconds, {"GET": 60 if late else 50, "PUT": 7}, {"runs": 10**6 + number}, 5)


def test_late_days_are_compared_with_early_ones() -> None:
    lived = [day(number) for number in range(100)]
    rows = list(compare(lived))
    assert rows[1:] == [f"| {phase} | 1.00 | 1.50 | 1.50 |" for phase in PHASES[:-1]]
    assert len(list(compare(lived[:10]))) == 1
    assert list(requests_table(lived))[1:] == ["| GET | 50 | 60 |", "| PUT | 7 | 7 |"]
    assert list(requests_table(lived[:10]))[1:] == ["| GET |  | 50 |", "| PUT |  | 7 |"]


def test_days_are_recorded_and_drawn(tmp_path: Path) -> None:
    lived = [day(number) for number in (*range(1, 51), *range(3000, 3035))]
    record(lived, tmp_path / "days.csv")
    first, *others = (tmp_path / "days.csv").read_text().splitlines()
    assert first.startswith("day,photos,plan_seconds,find_seconds,")
    assert others[-1] == "3034,60680,1.5,1.5,1.5,1.5,1.5,1.5,,1003034,5,67"
    chart(lived, tmp_path / "days.png")
    assert (tmp_path / "days.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_days_that_were_not_lived_through_are_as_the_steps_would_have_left_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(years, "_FIRST", 2)
    monkeypatch.setattr(years, "_LAST", 2)
    place = years.Place(str(tmp_path / "lake"), tmp_path / "lake/tables/orchard")
    lived = list(years.days(tmp_path, place, 9, years.Rates(12, 1.0, 1.0), 30.0))
    assert [day.number for day in lived] == [1, 2, 8, 9]
    catalog = open_catalog(place.root)
    table = catalog.load_table("orchard.embeddings").scan().to_arrow()
    moments = [row for row in catalog.load_table("orchard.moments").scan().to_arrow().to_pylist() if row["total"]]
    (total,) = [Moments.unpack(row["total"]) for row in moments]
    scratch = Moments.of(table["embedding"].to_pylist(), table["label"].to_pylist())
    assert total.labels == scratch.labels
    assert total.counts.tolist() == scratch.counts.tolist()
    np.testing.assert_allclose(total.scatter, scratch.scatter, rtol=1e-9, atol=1e-9)
    assert behind(catalog, "orchard", table["extractor_id"][0].as_py()) == []
