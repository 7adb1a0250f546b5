from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchard.photos.metadata_tables import MetadataTables, NoTablesError
from tests.orchard.photos.written_down import Metadata

# Of the tests' own writing, where there is nothing to replace.
pytestmark = pytest.mark.filterwarnings("ignore:Delete operation did not match any records")
MODIFIED = datetime(2026, 2, 1, 12, 30, 15, tzinfo=UTC)
BEFORE = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def metadata(tmp_path: Path) -> Metadata:
    return Metadata(tmp_path / "metadata", "b")


def everything(metadata: Metadata, *prefixes: str) -> dict[str, tuple[str, int]]:
    pages = MetadataTables(metadata.catalog, "b").everything(duckdb.connect(), prefixes or ("",))
    return {item["Key"]: (item["ETag"], item["Size"]) for page in pages for item in page.items}


def changes(metadata: Metadata, *prefixes: str) -> tuple[dict[str, str], set[str], set[str]]:
    """Return what was put, {key: etag}, and the keys that are doubtful, and mentioned."""
    db = duckdb.connect()
    db.execute("CREATE TABLE mentioned (uri VARCHAR); CREATE TABLE doubtful (uri VARCHAR)")
    pages = MetadataTables(metadata.catalog, "b").changes(db, prefixes or ("",), BEFORE)
    put = {item["Key"]: item["ETag"] for page in pages for item in page.items}

    def told(name: str) -> set[str]:
        return {uri.removeprefix("s3://b/") for (uri,) in db.execute(f"FROM {name}").fetchall()}

    return put, told("doubtful"), told("mentioned")


class TestLiveInventory:
    def test_the_newest_version_of_each_key(self, metadata: Metadata) -> None:
        put = metadata.put
        rows = [
            *(put("a/1.jpg", "old", 1, MODIFIED, version_id="1"), put("a/1.jpg", "new-2", 2, MODIFIED, version_id="2")),
            *(put("a/2.jpg", "x", 3, MODIFIED), metadata.event("a/2.jpg", is_delete_marker=True, version_id="3")),
            *(put("b/3.jpg", "y", 4, MODIFIED), put("a/", "z", 0, MODIFIED)),
        ]
        metadata.hold(rows[::-1])
        assert everything(metadata) == {"a/1.jpg": ('"new-2"', 2), "b/3.jpg": ('"y"', 4)}
        assert everything(metadata, "b/", "c/") == {"b/3.jpg": ('"y"', 4)}

    def test_times_without_a_zone_are_utc(self, metadata: Metadata) -> None:
        metadata.hold([metadata.put("a/1.jpg", "x", 1, MODIFIED)])
        (page,) = MetadataTables(metadata.catalog, "b").everything(duckdb.connect(), [""])
        assert page.items[0]["LastModified"] == MODIFIED


class TestJournal:
    def test_the_newest_put_of_each_key(self, metadata: Metadata) -> None:
        first = [metadata.put("a/1.jpg", "1", 1, MODIFIED), metadata.put("a/2.jpg", "2", 1, MODIFIED)]
        metadata.log([metadata.put("a/1.jpg", "3", 1, MODIFIED)])  # events come in any order
        metadata.log([*first, metadata.put("c/3.jpg", "4", 1, MODIFIED)])
        assert changes(metadata, "a/") == ({"a/1.jpg": '"3"', "a/2.jpg": '"2"'}, set(), {"a/1.jpg", "a/2.jpg"})

    def test_only_since(self, metadata: Metadata) -> None:
        metadata.log(
            [
                metadata.put(
                    "a/1.jpg", "1", 1, MODIFIED, record_timestamp=(BEFORE - timedelta(seconds=1)).replace(tzinfo=None)
                )
            ]
        )
        assert changes(metadata) == ({}, set(), set())

    @pytest.mark.parametrize(
        "events",
        [
            [("DELETE", {})],
            [("CREATE", {"e_tag": "1", "size": 1}), ("DELETE", {})],
            [("DELETE", {}), ("CREATE", {"e_tag": "1", "size": 1})],
            [("CREATE", {"e_tag": "1", "size": 1}), ("DELETE", {"version_id": "an older one"})],
            [("CREATE", {"is_delete_marker": True})],
            [("CREATE", {"e_tag": None})],
        ],
    )
    def test_what_was_deleted_in_whatever_way_is_doubtful(
        self, metadata: Metadata, events: list[tuple[str, dict[str, Any]]]
    ) -> None:
        metadata.log([metadata.event("a/1.jpg", kind, **more) for kind, more in events])
        assert changes(metadata) == ({}, {"a/1.jpg"}, {"a/1.jpg"})

    def test_what_is_said_of_metadata_says_nothing(self, metadata: Metadata) -> None:
        metadata.log([metadata.event("a/1.jpg", "UPDATE_METADATA", e_tag="of an older version", size=1)])
        assert changes(metadata) == ({}, set(), set())


def test_no_tables(metadata: Metadata) -> None:
    assert MetadataTables(metadata.catalog, "b").there
    assert not MetadataTables(metadata.catalog, "others").there
    metadata.catalog.drop_table(("b_b", "inventory"))
    with pytest.raises(NoTablesError) as caught:
        everything(metadata)
    assert str(caught.value) == (
        "There is no table inventory of the bucket b in the table bucket, namespace b_b. Switch S3 Metadata on for it, "
        "with its journal and its live inventory, or let the setting source be listing."
    )
