import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from botocore.exceptions import ClientError
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import EqualTo
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import FloatType, ListType, NestedField, StringType

from orchard.lake.tables import open_catalog, table_or_none
from orchard.photos import discovery, listed
from orchard.photos.discovery import find
from orchard.photos.found import Found
from orchard.photos.label import LabelRule
from orchard.photos.listing import canonical_prefix, list_photos
from orchard.photos.losses import MassDeletionError
from tests.conftest import REGION

REPOSITORY = Path(__file__).resolve().parents[3]


def _table(*names: str) -> Schema:
    fields = [NestedField(i, name, StringType(), required=False) for i, name in enumerate(names, start=1)]
    return Schema(*fields)


# As spark_jobs/tables/lake.py makes them.
EMBEDDINGS = Schema(
    *_table("uri", "etag", "label", "extractor_id", "run_id").fields,
    NestedField(6, "embedding", ListType(7, FloatType(), element_required=False), required=False),
)
REJECTS = _table("uri", "etag", "reason", "extractor_id", "run_id")
# As workers have written it; the first is of an older version.
NO_LABEL = (
    "no label: the photo stands at the top, in no folder that names its label; move it into one",
    "no label: the rule parent finds none; move or rename the photo, or change the rule",
)


@dataclass(frozen=True)
class Place:
    """Photos in a folder or a bucket, and a lake beside them."""

    catalog: Catalog
    database: str
    top: str
    put: Callable[[str, bytes], None]
    remove: Callable[[str], None]

    def find(
        self,
        run_id: str = "r1",
        *below: str,
        extractor: str = "e1",
        rule: str = "parent",
        meant: bool = False,
        limit: int | None = None,
        taken_out: str | None = None,
    ) -> Found:
        prefixes = [self.top + part for part in below or ("",)]
        return find(
            *(self.catalog, self.database, run_id, extractor, prefixes),
            rule=LabelRule.parse(rule),
            mass_deletion_meant=meant,
            limit=limit,
            taken_out=taken_out,
        )

    def rows(self, run_id: str, extractor: str = "e1") -> list[dict[str, Any]]:
        everything = self.catalog.load_table((self.database, "batches")).scan().to_arrow().to_pylist()
        return [row for row in everything if (row["run_id"], row["extractor_id"]) == (run_id, extractor)]

    def batch(self, run_id: str = "r1", extractor: str = "e1") -> dict[str, str]:
        """Return a batch as {path below the top: action}."""
        rows = self.rows(run_id, extractor)
        actions = {row["uri"].removeprefix(self.top): row["action"] for row in rows}
        assert len(actions) == len(rows)
        return actions

    def fill(self, *paths: str) -> None:
        for path in paths:
            self.put(path, path.encode())

    def labels(self, run_id: str = "r1") -> dict[str, tuple[str, str | None]]:
        """Return a batch as {path below the top: action and label}."""
        return {row["uri"].removeprefix(self.top): (row["action"], row["label"]) for row in self.rows(run_id)}

    def listed(self, rule: str = "parent") -> dict[str, dict[str, Any]]:
        listing = list_photos(canonical_prefix(self.top), rule=LabelRule.parse(rule))
        rows = [row for batch in listing for row in batch.to_pylist()]
        return {row["uri"].removeprefix(self.top): row for row in rows}

    def know(self, paths: Sequence[str] | None = None, extractor: str = "e1", rule: str = "parent") -> None:
        """Put photos into `embeddings`, as step 1 would have: all that are there now, unless told which."""
        listed = self.listed(rule)
        rows = [{name: listed[path][name] for name in ("uri", "etag", "label")} for path in paths or listed]
        self._append("embeddings", EMBEDDINGS, rows, extractor)

    def reject(self, path: str, reason: str, etag: str | None = None, extractor: str = "e1") -> None:
        row = {"uri": self.top + path, "etag": etag or self.listed()[path]["etag"], "reason": reason}
        self._append("rejects", REJECTS, [row], extractor)

    def _append(self, name: str, schema: Schema, rows: list[dict[str, Any]], extractor: str) -> None:
        table = table_or_none(self.catalog, self.database, name)
        if table is None:
            ids = [schema.find_field(column).field_id for column in ("extractor_id", "run_id")]
            parts = [PartitionField(i, 1000 + i, IdentityTransform(), f"part_{i}") for i in ids]
            table = self.catalog.create_table((self.database, name), schema, partition_spec=PartitionSpec(*parts))
        rows = [row | {"extractor_id": extractor, "run_id": "r0"} for row in rows]
        table.append(pa.Table.from_pylist(rows, table.schema().as_arrow()))


def on_disk(tmp_path: Path) -> Place:
    top = tmp_path / "photos"
    top.mkdir()

    def put(path: str, data: bytes) -> None:
        file = top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def remove(path: str) -> None:
        (top / path).unlink()

    return Place(open_catalog(str(tmp_path / "lake"), "orchard"), "orchard", f"file://{top.resolve()}/", put, remove)


def on_s3(aws: Any, bucket: str) -> Place:
    s3, database = aws.client("s3"), f"db_{uuid.uuid4().hex[:8]}"

    def put(path: str, data: bytes) -> None:
        s3.put_object(Bucket=bucket, Key=path, Body=data)

    def remove(path: str) -> None:
        s3.delete_object(Bucket=bucket, Key=path)

    lake = f"{bucket}-lake"
    s3.create_bucket(Bucket=lake, CreateBucketConfiguration={"LocationConstraint": REGION})
    return Place(open_catalog(f"s3://{lake}", database), database, f"s3://{bucket}/", put, remove)


@pytest.fixture(params=["disk", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "disk":
        return on_disk(tmp_path)
    return on_s3(request.getfixturevalue("aws"), request.getfixturevalue("bucket"))


@pytest.fixture
def disk(tmp_path: Path) -> Place:
    return on_disk(tmp_path)


def test_the_first_run_finds_everything(place: Place) -> None:
    place.fill("Apple/1.jpg", "Apple/2.jpg", "Pear/small/3.PNG", "notes.txt")
    before = datetime.now(UTC)
    found = place.find()
    assert found == Found(listed=4, added=3, changed=0, deleted=0, left_out={"named .txt": 1})
    assert (found.photos, found.nothing) == (3, False)
    listed = place.listed()
    rows = {row["uri"].removeprefix(place.top): row for row in place.rows("r1")}
    assert {path: row["label"] for path, row in rows.items()} == {
        "Apple/1.jpg": "Apple",
        "Apple/2.jpg": "Apple",
        "Pear/small/3.PNG": "small",
    }
    for path, row in rows.items():
        assert (row["etag"], row["size"], row["action"]) == (listed[path]["etag"], len(path), "add")
        assert before <= row["found_at"] <= datetime.now(UTC)
        assert abs((row["last_modified"] - before).total_seconds()) < 120
    assert len({row["found_at"] for row in rows.values()}) == 1


def test_a_lake_among_the_photos(aws: Any, bucket: str) -> None:
    """Its own pictures are no photos; where it is not in the way, it is left out."""
    s3, database = aws.client("s3"), f"db_{uuid.uuid4().hex[:8]}"
    catalog = open_catalog(f"s3://{bucket}/lake", database)
    for key in ("lake/exports/e/map.png", "lake-photos/Apple/1.jpg"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"photo")
    found = find(catalog, database, "r1", "e1", [f"s3://{bucket}"])
    in_the_lake = found.left_out["of a lake"]  # the run's batch came after them
    assert 3 <= in_the_lake <= s3.list_objects_v2(Bucket=bucket, Prefix="lake/")["KeyCount"]
    assert (found.added, found.left_out) == (1, {"of a lake": in_the_lake})
    assert found.listed == 1 + in_the_lake
    for inside in (f"s3://{bucket}/lake", f"s3://{bucket}/lake/exports/"):
        with pytest.raises(ValueError) as caught:
            find(catalog, database, "r2", "e1", [inside])
        assert str(caught.value) == (
            f"{inside.rstrip('/')}/: expected a place beside the lake s3://{bucket}/lake/, whose own pictures are no "
            "photos."
        )


def test_embeddings_of_an_older_version(disk: Place) -> None:
    """Their etags do not tell when a file was changed: they are known all the same."""
    disk.fill("Apple/1.jpg", "Apple/2.jpg")
    rows = [disk.listed()[path] for path in ("Apple/1.jpg", "Apple/2.jpg")]
    known = [
        {name: row[name] for name in ("uri", "label")} | {"etag": row["etag"].rpartition("-")[0] + '"'} for row in rows
    ]
    known[1]["etag"] = '"0-0-0"'
    disk._append("embeddings", EMBEDDINGS, known, "e1")
    disk.find()
    assert disk.batch() == {"Apple/2.jpg": "change"}


def test_added_changed_and_deleted(place: Place) -> None:
    place.fill(*(f"Apple/{i}.jpg" for i in range(6)))
    place.know()
    listed = place.listed()
    place.put("Apple/0.jpg", b"overwritten")
    place.put("Pear/new.jpg", b"new")
    place.remove("Apple/5.jpg")
    assert place.find() == Found(listed=6, added=1, changed=1, deleted=1)
    assert place.batch() == {"Apple/0.jpg": "change", "Pear/new.jpg": "add", "Apple/5.jpg": "delete"}
    (deleted,) = (row for row in place.rows("r1") if row["action"] == "delete")
    assert deleted["etag"] == listed["Apple/5.jpg"]["etag"]
    assert [deleted[name] for name in ("size", "last_modified", "label")] == [None] * 3


def test_nothing_new_writes_nothing(disk: Place) -> None:
    disk.fill("Apple/1.jpg")
    disk.know()
    found = disk.find()
    assert found == Found(listed=1, added=0, changed=0, deleted=0)
    assert found.nothing
    assert disk.catalog.load_table((disk.database, "batches")).current_snapshot() is None


def test_a_run_done_again_keeps_its_batch(place: Place) -> None:
    place.fill(*(f"Apple/{i}.jpg" for i in range(6)))
    place.know()
    place.put("Apple/0.jpg", b"overwritten")
    place.put("Pear/new.jpg", b"new")
    place.remove("Apple/5.jpg")
    first = place.find("r1")
    rows = place.rows("r1")
    place.fill("Pear/newer.jpg")
    for i in range(1, 5):
        place.remove(f"Apple/{i}.jpg")
    again = place.find("r1")
    assert (again.added, again.changed, again.deleted) == (first.added, first.changed, first.deleted) == (1, 1, 1)
    assert again.listed == again.photos == 2  # nothing was listed but what is to be embedded
    assert place.rows("r1") == rows
    assert place.find("r2", meant=True) == Found(listed=3, added=2, changed=1, deleted=5)


def test_a_prefix_that_moved_is_told_and_taken_out(place: Place) -> None:
    place.fill(*(f"old/Apple/{i}.jpg" for i in range(3)), "other/Pear/1.jpg")
    place.know()
    for i in range(3):
        place.remove(f"old/Apple/{i}.jpg")
        place.put(f"new/Apple/{i}.jpg", f"old/Apple/{i}.jpg".encode())
    prefixes = ("new", "other")
    found = place.find("r1", *prefixes)
    assert (found.added, found.deleted) == (3, 0)
    assert found.notes[0] == (
        f"The lake holds 3 photos under {place.top}old/Apple/, which is not among the prefixes given: 0 still there. "
        f"What the lake holds stays; --take-out {place.top}old/Apple/ (the Param take_out of the DAG) takes it out."
    )
    with pytest.raises(ValueError, match=r"expected to take out a prefix that is not among those given"):
        place.find("r2", *prefixes, taken_out=f"{place.top}other/")
    assert place.batch("r2") == {}
    assert place.find("r2", *prefixes, taken_out=f"{place.top}old").notes == ()
    assert place.batch("r2") == {
        **{f"new/Apple/{i}.jpg": "add" for i in range(3)},
        **{f"old/Apple/{i}.jpg": "delete" for i in range(3)},
    }


def test_taken_out_once_more(place: Place) -> None:
    """As after an interruption. What the lake never held is refused, and so is another extractor's."""
    place.fill("old/Apple/1.jpg", "older/Apple/1.jpg", "other/Pear/1.jpg")
    place.know(["old/Apple/1.jpg", "other/Pear/1.jpg"])
    place.remove("old/Apple/1.jpg")
    place.find("r1", "other", taken_out=f"{place.top}old")
    embeddings = place.catalog.load_table((place.database, "embeddings"))
    embeddings.delete(EqualTo("uri", f"{place.top}old/Apple/1.jpg"))  # as step 1 would have
    again = place.find("r2", "other", taken_out=f"{place.top}old")
    assert again.nothing
    assert again.notes == (
        f"The lake holds no photo under {place.top}old/ any more: an earlier run has taken them out.",
    )
    for prefix, extractor in (("older", "e1"), ("ol", "e1"), ("old", "e2")):
        with pytest.raises(ValueError, match=r"expected a prefix to take out that the lake holds photos under"):
            place.find("r3", "other", taken_out=f"{place.top}{prefix}", extractor=extractor)


def test_labels_of_an_older_lake_are_spelt_anew(disk: Place) -> None:
    disk.fill("Pe\u0302che /1.jpg", "Fig/2.jpg")
    disk.know()
    table = disk.catalog.load_table((disk.database, "embeddings"))
    rows = table.scan().to_arrow()
    older = [{"P\u00eache": "Pe\u0302che "}.get(label, label) for label in rows["label"].to_pylist()]
    table.overwrite(rows.set_column(rows.column_names.index("label"), "label", pa.array(older)))
    assert disk.find().relabelled == 1
    assert disk.labels() == {"Pe\u0302che /1.jpg": ("relabel", "P\u00eache")}


def test_another_extractor_has_seen_nothing(disk: Place) -> None:
    disk.fill("Apple/1.jpg", "Apple/2.jpg")
    disk.know(extractor="e1")
    disk.reject("Apple/2.jpg", "not a photo", extractor="e2")
    assert disk.find("r1", extractor="e1").nothing
    assert disk.find("r1", extractor="e2") == Found(listed=2, added=1, changed=0, deleted=0)
    assert disk.find("r1", extractor="e3") == Found(listed=2, added=2, changed=0, deleted=0)
    assert disk.batch("r1", "e2") == {"Apple/1.jpg": "add"}


def test_a_reject_is_tried_again_only_when_it_changes(disk: Place) -> None:
    disk.fill("Apple/1.jpg", "Apple/2.jpg")
    disk.reject("Apple/1.jpg", "truncated: no label: ...")
    disk.reject("Apple/2.jpg", "truncated", etag='"older"')
    assert disk.find() == Found(listed=2, added=0, changed=1, deleted=0)
    assert disk.batch() == {"Apple/2.jpg": "change"}


def test_a_reject_without_a_label_that_has_one_now_has_changed(disk: Place) -> None:
    disk.fill("top.jpg", "Apple/1.jpg", "Apple/2.jpg")
    first, second = (f"{disk.top}Apple/{i}.jpg" for i in (1, 2))
    assert disk.find("r1", "Apple") == Found(2, added=2, changed=0, deleted=0, unlabelled=2, examples=(first, second))
    assert {row["label"] for row in disk.rows("r1")} == {None}
    disk.reject("Apple/1.jpg", NO_LABEL[0])
    disk.reject("Apple/2.jpg", NO_LABEL[1])
    assert disk.find("r2", "Apple").nothing  # it has none still
    found = Found(listed=3, added=1, changed=2, deleted=0, unlabelled=1, examples=(f"{disk.top}top.jpg",))
    assert disk.find("r3") == found
    assert disk.labels("r3") == {
        "top.jpg": ("add", None),
        "Apple/1.jpg": ("change", "Apple"),
        "Apple/2.jpg": ("change", "Apple"),
    }


class TestLabels:
    """What another rule finds in the same photos."""

    FILES = ("Apple/Apple 9/1.jpg", "Apple/Apple 9/2.jpg", "Apple/Apple 10/1.jpg", "Fig/Fig/1.jpg")

    def test_another_rule_relabels(self, place: Place) -> None:
        place.fill(*self.FILES)
        place.know()
        assert place.find().nothing
        assert place.find(rule="parent/2") == Found(4, 0, 0, 0, relabelled=3, rule="parent/2")
        assert place.labels() == dict.fromkeys(self.FILES[:3], ("relabel", "Apple"))
        listed = place.listed()
        for row in place.rows("r1"):
            assert row["etag"] == listed[row["uri"].removeprefix(place.top)]["etag"]
            assert row["label_rule"] == "parent/2"
        # Done again it is the same batch, whatever the rule is by then.
        assert place.find(rule="parent") == Found(0, 0, 0, 0, relabelled=3, rule="parent/2")
        assert len(place.rows("r1")) == 3

    def test_both_folders_as_one_label(self, disk: Place) -> None:
        disk.fill(*self.FILES)
        assert disk.find(rule="([^/]+/[^/]+)/[^/]+$").added == 4
        assert {label for _, label in disk.labels().values()} == {"Apple/Apple 9", "Apple/Apple 10", "Fig/Fig"}

    def test_the_key_is_below_the_bucket_or_the_folder(self, place: Place) -> None:
        place.fill("kaki_1.jpg", "2026/kaki_2.jpg")
        assert place.find(rule="^([a-z]+)_").unlabelled == 1
        assert place.labels() == {"kaki_1.jpg": ("add", "kaki"), "2026/kaki_2.jpg": ("add", None)}

    def test_beside_other_changes(self, disk: Place) -> None:
        disk.fill(*self.FILES, "Apple/Apple 9/bad.jpg", "Fig/Fig/none.jpg", *(f"Fig/Fig/{i}x.jpg" for i in range(9)))
        disk.know([path for path in disk.listed() if path[-7:] not in ("bad.jpg", "one.jpg")])
        disk.reject("Apple/Apple 9/bad.jpg", "truncated")
        disk.reject("Fig/Fig/none.jpg", NO_LABEL[1])
        disk.put("Apple/Apple 9/1.jpg", b"overwritten")
        disk.remove("Apple/Apple 9/2.jpg")
        disk.fill("Apple/Apple 9/new.jpg")
        found = disk.find(rule="(Apple|Fig)/[^/]*/[^/]*$")
        assert found == Found(15, added=1, changed=2, deleted=1, relabelled=1, rule="(Apple|Fig)/[^/]*/[^/]*$")
        assert disk.labels() == {
            "Apple/Apple 9/1.jpg": ("change", "Apple"),
            "Apple/Apple 9/2.jpg": ("delete", None),
            "Apple/Apple 9/new.jpg": ("add", "Apple"),
            "Apple/Apple 10/1.jpg": ("relabel", "Apple"),
            "Fig/Fig/none.jpg": ("change", "Fig"),  # it has one now, and is to be embedded
        }

    def test_a_label_that_is_lost(self, disk: Place) -> None:
        disk.fill("top/1.jpg", *(f"Fig/small/{i}.jpg" for i in range(9)))
        disk.know()
        lost = Found(10, 0, changed=1, deleted=0, relabelled=9, unlabelled=1, rule="parent/2")
        assert disk.find(rule="parent/2") == replace(lost, examples=(f"{disk.top}top/1.jpg",))
        assert disk.labels()["top/1.jpg"] == ("change", None)

    def test_many_that_are_lost_stop_the_run(self, disk: Place) -> None:
        disk.fill(*(f"Fig/{i}.jpg" for i in range(5)), *(f"Fig/small/{i}.jpg" for i in range(15)))
        disk.know()
        with pytest.raises(MassDeletionError) as caught:
            disk.find(rule="parent/2")
        assert str(caught.value) == (
            f"5 of the 20 photos that the lake holds under {disk.top} would lose their label by the rule parent/2: "
            "more than 20%, so their embeddings stay and the run stops. Mend the rule (setting or option label), or "
            "list the folder above; if it is meant, say so: --mass-deletion-meant, or the Param mass_deletion_meant of "
            "the DAG."
        )
        assert disk.batch() == {}
        assert disk.find(rule="parent/2", meant=True).changed == 5

    def test_a_folder_whose_name_was_the_label(self, disk: Place) -> None:
        """Listed alone it gives no labels: that is a mistake as a rule."""
        disk.fill("Apple/1.jpg")
        disk.know()
        with pytest.raises(MassDeletionError, match=r"^1 of the 1 photos .*/Apple/ would lose their label by the rule"):
            disk.find("r1", "Apple")

    def test_only_under_the_prefixes_listed(self, disk: Place) -> None:
        disk.fill("a/Apple/big/1.jpg", "b/Apple/big/1.jpg")
        disk.know()
        assert disk.find("r1", "a", rule="parent/2").relabelled == 1
        assert disk.labels() == {"a/Apple/big/1.jpg": ("relabel", "Apple")}

    def test_of_another_extractor(self, disk: Place) -> None:
        disk.fill(*self.FILES)
        disk.know(extractor="e1")
        disk.know(extractor="e2", rule="parent/2")
        assert disk.find("r1", rule="parent/2", extractor="e2").nothing
        assert disk.find("r1", rule="parent/2", extractor="e1").relabelled == 3

    def test_a_limit_takes_them_all(self, disk: Place) -> None:
        disk.fill(*self.FILES)
        disk.know()
        disk.fill("Apple/Apple 9/8.jpg", "Apple/Apple 9/9.jpg")
        assert disk.find(rule="parent/2", limit=1) == Found(6, 1, 0, 0, left=1, relabelled=3, rule="parent/2")

    def test_a_batch_of_an_older_version(self, disk: Place) -> None:
        row = {"uri": f"{disk.top}Fig/1.jpg", "action": "add", "run_id": "r1", "extractor_id": "e1"}
        batches = disk.catalog.load_table((disk.database, "batches"))
        batches.append(pa.Table.from_pylist([row], batches.schema().as_arrow()))
        assert disk.find(rule="parent/2") == Found(1, 1, 0, 0, rule="parent")


@pytest.mark.parametrize("prefixes", [("", "Apple"), ("Apple", ""), ("Apple", "", "Apple/deep", "")])
def test_overlapping_prefixes_count_once_and_the_outermost_gives_the_label(
    disk: Place, prefixes: tuple[str, ...]
) -> None:
    paths = [f"Apple/{i}.jpg" for i in range(30)] + ["Apple/deep/1.jpg"]
    disk.fill(*paths)
    assert disk.find("r1", *prefixes) == Found(listed=31, added=31, changed=0, deleted=0)
    assert {row["uri"].removeprefix(disk.top): row["label"] for row in disk.rows("r1")} == {
        path: path.split("/")[-2] for path in paths
    }


def test_overlapping_prefixes_of_a_bucket(aws: Any, bucket: str) -> None:
    place = on_s3(aws, bucket)
    place.fill("photos/a/1.jpg", "photos/2.jpg", "photos-old/a/3.jpg", "other/4.jpg")
    assert place.find("r1", "photos", "photos/", "photos/a/", "photos-old/") == Found(3, 3, 0, 0)
    assert sorted(place.batch()) == ["photos-old/a/3.jpg", "photos/2.jpg", "photos/a/1.jpg"]


def test_photos_elsewhere_in_the_lake_are_left_alone(disk: Place) -> None:
    """Also those whose uris begin alike."""
    disk.fill("photos/a/1.jpg", "photos-old/a/2.jpg", "other/a/3.jpg", "photos/4.jpg")
    disk.know()
    for path in ("photos-old/a/2.jpg", "other/a/3.jpg", "photos/4.jpg"):
        disk.remove(path)
    found = disk.find("r1", "photos/", meant=True)
    assert replace(found, notes=()) == Found(listed=1, added=0, changed=0, deleted=1)
    assert [note.partition(",")[0].replace(disk.top, "") for note in found.notes] == [
        "The lake holds 1 photo under other/a/",
        "The lake holds 1 photo under photos-old/a/",
    ]
    assert disk.batch() == {"photos/4.jpg": "delete"}


class TestLimit:
    def test_the_first_by_uri_and_all_deletions(self, place: Place) -> None:
        place.fill(*(f"Apple/{i}.jpg" for i in range(8)))
        place.know()
        place.put("Apple/3.jpg", b"overwritten")
        place.remove("Apple/0.jpg")
        place.fill("Apple/10.jpg", "Pear/1.jpg", "Zebra/1.jpg")
        assert place.find("r1", limit=2) == Found(listed=10, added=1, changed=1, deleted=1, left=2)
        assert place.batch() == {"Apple/0.jpg": "delete", "Apple/10.jpg": "add", "Apple/3.jpg": "change"}
        # Done again with another limit, it is the same batch, and nothing is looked for.
        for limit in (1, 100, None):
            assert place.find("r1", limit=limit) == Found(listed=2, added=1, changed=1, deleted=1, left=0)
        assert len(place.rows("r1")) == 3
        for limit in (4, 5, None):
            assert place.find(f"enough {limit}", limit=limit).left == 0

    @pytest.mark.parametrize("limit", [0, -1])
    def test_less_than_one(self, disk: Place, limit: int) -> None:
        with pytest.raises(ValueError) as caught:
            disk.find(limit=limit)
        assert str(caught.value) == f"limit is {limit}: expected 1 or more photos, or None for all."

    @pytest.mark.parametrize("limit", [1, 3, 7])
    def test_repeated_runs_take_what_one_without_a_limit_takes(self, disk: Place, limit: int) -> None:
        disk.fill(*(f"{'Apple' if i % 3 else '🍎'}/{i}.jpg" for i in range(7)))
        assert disk.find("whole").added == 7
        taken: dict[str, str] = {}
        for run in range(9):
            found = disk.find(f"r{run}", limit=limit)
            if found.nothing:
                break
            assert found.photos == min(limit, 7 - len(taken))
            assert found.left == 7 - len(taken) - found.photos
            batch = disk.batch(f"r{run}")
            assert not taken.keys() & batch.keys()
            taken |= batch
            disk.know(list(batch))
        assert taken == disk.batch("whole")


def test_a_photo_that_stands_in_both_tables_is_found_once(disk: Place) -> None:
    """As after a kill between the two commits of a step that is done again."""
    disk.fill("Apple/1.jpg", "Apple/2.jpg", *(f"Pear/{i}.jpg" for i in range(9)))
    disk.know()
    disk.reject("Apple/1.jpg", "truncated")
    disk.reject("Apple/2.jpg", "truncated")
    disk.put("Apple/1.jpg", b"overwritten")
    disk.remove("Apple/2.jpg")
    assert disk.find() == Found(listed=10, added=0, changed=1, deleted=1)
    assert disk.batch() == {"Apple/1.jpg": "change", "Apple/2.jpg": "delete"}


def test_a_look_writes_nothing(disk: Place) -> None:
    disk.fill("Apple/1.jpg", "Apple/2.jpg")
    look = find(disk.catalog, disk.database, "r1", "e1", [disk.top], limit=1, write=False)
    assert disk.batch() == {}
    assert look == disk.find(limit=1) == Found(listed=2, added=1, changed=0, deleted=0, left=1)


def test_the_callers_client_lists(aws: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = on_s3(aws, bucket)
    place.fill("Apple/1.jpg")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    found = find(place.catalog, place.database, "r1", "e1", [place.top], s3=aws.client("s3"))
    assert found.added == 1


class TestMassDeletion:
    def lose(self, place: Place, held: int, lost: int, folder: str = "Apple") -> None:
        place.fill(*(f"{folder}/{i}.jpg" for i in range(held)))
        place.know([f"{folder}/{i}.jpg" for i in range(held)])
        for i in range(lost):
            place.remove(f"{folder}/{i}.jpg")

    @pytest.mark.parametrize(("held", "lost"), [(5, 1), (10, 2), (35, 7)])
    def test_a_fifth_may_go(self, disk: Place, held: int, lost: int) -> None:
        self.lose(disk, held, lost)
        assert disk.find() == Found(listed=held - lost, added=0, changed=0, deleted=lost)

    def test_more_stops_the_run(self, disk: Place) -> None:
        self.lose(disk, 14, 3)
        disk.fill("Apple/new.jpg")
        with pytest.raises(MassDeletionError) as caught:
            disk.find()
        assert str(caught.value) == (
            f"3 of the 14 photos that the lake holds under {disk.top} are not there any more: "
            "more than 20%, so nothing is deleted and the run stops. If an upload or a mount failed, mend it and run "
            "again; if they were meant to go, say so: --mass-deletion-meant, or the Param "
            "mass_deletion_meant of the DAG."
        )
        assert disk.batch() == {}
        assert disk.find(meant=True) == Found(listed=12, added=1, changed=0, deleted=3)

    def test_a_folder_that_lists_empty(self, disk: Place) -> None:
        self.lose(disk, 3, 3)
        with pytest.raises(MassDeletionError, match=r"^3 of the 3 photos"):
            disk.find()

    def test_each_prefix_counts_for_itself(self, disk: Place) -> None:
        self.lose(disk, 30, 0, "Apple/red")
        self.lose(disk, 2, 1, "Pear/green")
        with pytest.raises(
            MassDeletionError, match=r"^1 of the 2 photos that the lake holds under .*/photos/Pear/ are"
        ):
            disk.find("r1", "Apple", "Pear")
        with pytest.raises(
            MassDeletionError, match=r"^1 of the 2 photos that the lake holds under .*/photos/Pear/ are"
        ):
            disk.find("r1", "", "Pear")
        assert disk.find("r1") == Found(listed=31, added=0, changed=0, deleted=1)

    def test_rejects_count_as_held(self, disk: Place) -> None:
        self.lose(disk, 4, 0)
        disk.reject("Apple/gone.jpg", "not a photo", etag='"1"')
        assert disk.find() == Found(listed=4, added=0, changed=0, deleted=1)

    def test_other_extractors_photos_do_not_count(self, disk: Place) -> None:
        self.lose(disk, 4, 0)
        disk.fill("Apple/5.jpg")
        disk.know(["Apple/5.jpg"], extractor="e2")
        disk.remove("Apple/5.jpg")
        assert disk.find().nothing


class TestFailures:
    """What fails leaves no batch, so that doing the run again finds all of it."""

    def test_a_listing_that_breaks_off(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        place.fill(*(f"Apple/{i}.jpg" for i in range(9)))

        def breaks_off(*prefixes: str, **more: Any) -> Iterator[pa.RecordBatch]:
            yield next(list_photos(*prefixes, **more)).slice(0, 5)
            raise PermissionError(13, "Permission denied", "/photos/Pear")

        with monkeypatch.context() as patched:
            patched.setattr(listed, "list_photos", breaks_off)
            with pytest.raises(PermissionError):
                place.find()
        assert place.batch() == {}
        assert place.find().added == 9

    def test_one_of_the_prefixes_is_missing(self, aws: Any, bucket: str) -> None:
        place = on_s3(aws, bucket)
        place.fill("Apple/1.jpg")
        with pytest.raises(ClientError, match="NoSuchBucket"):
            find(place.catalog, place.database, "r1", "e1", [place.top, "s3://there-is-no-such-bucket/"])
        assert place.batch() == {}

    def test_a_folder_is_missing(self, disk: Place) -> None:
        disk.fill("Apple/1.jpg")
        with pytest.raises(NotADirectoryError, match="there is no such folder"):
            disk.find("r1", "Apple", "Pear")
        assert disk.batch() == {}

    def test_killed_while_it_writes(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        place.fill("Apple/1.jpg")
        rows = discovery._batch_rows

        def killed(*args: Any) -> Iterator[pa.Table]:
            yield from rows(*args)
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(discovery, "_batch_rows", killed)
            with pytest.raises(KeyboardInterrupt):
                place.find()
        assert place.batch() == {}
        assert place.find().added == 1

    def test_no_prefix(self, disk: Place) -> None:
        with pytest.raises(ValueError) as caught:
            find(disk.catalog, disk.database, "r1", "e1", [])
        assert str(caught.value) == "Expected at least one prefix, s3://bucket/prefix or a folder, got none."

    def test_nothing_is_left_behind(self, disk: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(scratch))
        disk.fill("Apple/1.jpg")
        disk.find()
        with pytest.raises(NotADirectoryError):
            disk.find("r2", "none")
        assert list(scratch.iterdir()) == []


ODD = [
    "with space",
    "100%",
    "%25",
    "a+b=c",
    "#?~",
    "\u00e9",
    "e\u0301",
    "🍎",
    "line\nbreak",
    "back\\slash",
    "'quote\"",
    "$1",
]


def test_odd_names_are_known_again(place: Place) -> None:
    place.fill(*(f"{name}/{name}/{name}.jpg" for name in ODD))
    assert place.find("it's 100% #1\n", extractor="e'1").added == len(ODD)
    assert place.batch("it's 100% #1\n", "e'1") == {f"{name}/{name}/{name}.jpg": "add" for name in ODD}
    assert place.find("it's 100% #1\n", extractor="e'1").added == len(ODD)
    place.know(extractor="e'1")
    assert place.find("r2", extractor="e'1").nothing
    assert place.find("r2", *(f"{name}/" for name in ODD), extractor="e'1").nothing
    place.remove("%25/%25/%25.jpg")
    assert place.find("r3", extractor="e'1").deleted == 1
    assert place.batch("r3", "e'1") == {"%25/%25/%25.jpg": "delete"}


def test_keys_that_only_s3_has_are_known_again(aws: Any, bucket: str) -> None:
    place = on_s3(aws, bucket)
    keys = ["a//b.jpg", "./x.jpg", "a/../b.jpg", "/lead.jpg", "x.jpg"]
    place.fill(*keys, "a/")
    unlabelled = tuple(place.top + key for key in ("./x.jpg", "/lead.jpg", "x.jpg"))
    assert place.find() == Found(5, 5, 0, 0, unlabelled=3, examples=unlabelled)
    assert place.batch() == dict.fromkeys(keys, "add")
    assert place.labels()["a//b.jpg"] == ("add", "a")
    place.know()
    assert place.find("r2").nothing


def test_large_batches_are_one_commit(disk: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "_ROWS", 2048)
    disk.fill(*(f"Apple/{i}.jpg" for i in range(3000)))
    table = disk.catalog.load_table((disk.database, "batches"))
    before = len(table.metadata.metadata_log)
    assert disk.find().added == 3000
    assert len(table.refresh().metadata.metadata_log) == before + 1
    assert len(disk.batch()) == 3000


def run_python(code: str, *arguments: str | Path, **environment: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY / 'plugins'}", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


IN_ANOTHER_ZONE = """
import json, sys
from orchard.photos.discovery import find
from orchard.lake.tables import open_catalog
catalog = open_catalog(sys.argv[1])
assert find(catalog, "orchard", "r1", "e1", [sys.argv[2]]).added == 1
(row,) = catalog.load_table("orchard.batches").scan().to_arrow().to_pylist()
print(json.dumps([row["last_modified"].isoformat(), row["found_at"].isoformat()]))
"""


def test_the_machines_time_zone_does_not_matter(tmp_path: Path) -> None:
    photo = tmp_path / "photos" / "Apple" / "1.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"photo")
    os.utime(photo, (0, 1_700_000_000))
    modified, found_at = run_python(IN_ANOTHER_ZONE, tmp_path / "lake", tmp_path / "photos", TZ="Asia/Kolkata")
    assert modified == "2023-11-14T22:13:20+00:00"
    assert abs((datetime.fromisoformat(found_at) - datetime.now(UTC)).total_seconds()) < 120


MEMORY = """
import json, resource, sys
from datetime import UTC, datetime
import pyarrow as pa
from pyiceberg.schema import Schema
from pyiceberg.types import NestedField, StringType
from orchard.photos import discovery, listed
from orchard.lake.tables import append, open_catalog
from orchard.photos.found import Found
from orchard.photos.listing import SCHEMA

N, STEP = int(sys.argv[2]), 50_000
NAMES = ("uri", "etag", "label", "extractor_id", "run_id")

def listing(changed):
    def list_photos(prefix, **_):
        for start in range(0, N, STEP):
            ids = range(start, min(N, start + STEP))
            uris = [f"{prefix}some-folder/label-{i % 131}/photo-{i:012}-abcdef.jpg" for i in ids]
            etags = [f'"{i + 10**9 * (changed and i % 10 == 0):032x}"' for i in ids]
            labels = [f"label-{i % 131 + (changed and i % 10 == 1)}" for i in ids]
            columns = [uris, etags, [1] * len(ids), [datetime(2026, 1, 1, tzinfo=UTC)] * len(ids), labels]
            yield pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, SCHEMA)], schema=SCHEMA)
    return list_photos

def peak():  # MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

catalog = open_catalog(sys.argv[1])
prefix = "s3://any/"
N, all_of_them = 1000, N
listed.list_photos = listing(False)
discovery.find(catalog, "orchard", "r0", "e0", [prefix])  # what it takes whatever is found
N, start = all_of_them, peak()
assert discovery.find(catalog, "orchard", "r1", "e1", [prefix]).added == N
first = peak()
schema = Schema(*(NestedField(i, name, StringType()) for i, name in enumerate(NAMES, 1)))
known = catalog.create_table("orchard.embeddings", schema)
append(
    known,
    (
        pa.table({n: batch[n] for n in NAMES[:3]} | {n: ["e1"] * len(batch) for n in NAMES[3:]})
        for batch in listing(False)(prefix)
    ),
)
before = peak()
listed.list_photos = listing(True)
found = discovery.find(catalog, "orchard", "r2", "e1", [prefix])
assert found == Found(N, 0, N // 10, 0, relabelled=N // 10), found
print(json.dumps([start, first - start, peak() - before]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux")
def test_memory_is_bounded(tmp_path: Path) -> None:
    """In MB, of resident memory; what grows with the listing is DuckDB's, and spills at 512 MB."""
    _before, all_new, all_known = run_python(MEMORY, tmp_path / "lake", "300000")
    assert all_new < 450
    assert all_known < 200
