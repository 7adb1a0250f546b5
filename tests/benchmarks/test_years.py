"""What the years are made of: photos that come and go, a network that costs nothing, and the comparison of days."""

from pathlib import Path

import numpy as np

from benchmarks.drawn import DIMENSION, Photos, artefact, embeddings
from benchmarks.years import PHASES, Day, compare
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


def test_late_days_are_compared_with_early_ones() -> None:
    def day(number: int) -> Day:
        seconds = dict.fromkeys(PHASES, 1.0 if number < 60 else 1.5) | ({"maintain": 9.0} if number == 30 else {})
        if number >= 60:
            del seconds["maintain"]
        return Day(number, 20 * number, seconds, {}, 0)

    rows = list(compare([day(number) for number in range(100)]))
    assert rows[1:] == [f"| {phase} | 1.00 | 1.50 | 1.50 |" for phase in PHASES if phase != "maintain"]
    assert len(list(compare([day(number) for number in range(10)]))) == 1
