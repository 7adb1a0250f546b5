import duckdb
import pytest

from orchard.photos import cuts as module
from orchard.photos.bucket import RANGES, THREADS
from orchard.photos.cuts import cuts


def lake(photos: int, prefix: str = "s3://b/p/") -> duckdb.DuckDBPyConnection:
    db = duckdb.connect()
    db.execute(
        "CREATE TABLE known AS SELECT $1 || lpad(i::VARCHAR, 9, '0') AS uri FROM range($2) t(i)", [prefix, photos]
    )
    return db


@pytest.mark.parametrize(
    ("photos", "ranges"),
    [(0, 1), (THREADS * 10 - 1, 1), (THREADS * 10, THREADS), (1_000, 100), (20_000, RANGES), (200_000, RANGES)],
)
def test_ranges_are_about_equal_and_not_too_small(photos: int, ranges: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEAST", 10)
    found = cuts(lake(photos), ["s3://b/p/", "s3://b/q/", "file:///x/"])
    assert found.keys() == ({"s3://b/p/"} if ranges > 1 else set())
    if found:
        at = [int(uri[-9:]) for uri in found["s3://b/p/"]]
        assert len(at) == ranges - 1
        assert at == sorted(at)
        sizes = [after - before for before, after in zip([0, *at], [*at, photos], strict=True)]
        assert max(sizes) < 2.5 * photos / ranges


def test_they_are_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEAST", 10)
    assert cuts(lake(50_000), ["s3://b/"]) == cuts(lake(50_000), ["s3://b/"])


def test_of_a_prefix_only_its_own_keys_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEAST", 10)
    db = lake(1_000)
    db.execute("INSERT INTO known SELECT replace(uri, '/p/', '/p-2/') FROM known")
    found = cuts(db, ["s3://b/p/", "s3://b/p-2/"])
    assert {prefix: len(at) for prefix, at in found.items()} == {"s3://b/p/": 99, "s3://b/p-2/": 99}
    assert all(uri.startswith(prefix) for prefix, at in found.items() for uri in at)
