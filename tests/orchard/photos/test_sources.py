"""Sources beside listing: whatever they say, and however late, the lake ends as a listing would have it."""

import random
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import In

from orchard.lake import watermark
from orchard.lake.tables import open_catalog, replace_run, table_or_none
from orchard.photos import confirmation
from orchard.photos.discovery import find
from orchard.photos.found import Found
from orchard.photos.label import LabelRule
from orchard.photos.losses import MassDeletionError
from orchard.photos.source import Source, SourceError
from tests import tables
from tests.orchard.photos.written_down import Metadata, objects, report

# Of the tests' own writing, where there is nothing to replace.
pytestmark = pytest.mark.filterwarnings("ignore:Delete operation did not match any records")
EXTRACTOR = "e1"
ARN = "arn:aws:s3tables:eu-west-1:111122223333:bucket/aws-s3"


@dataclass
class World:
    """A bucket, what AWS writes down of it, and a lake on this machine."""

    s3: Any
    bucket: str
    reports: str
    catalog: Catalog
    metadata: Metadata
    kind: str = "CSV"
    days: float = 1000
    runs: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def source(self) -> Source:
        if self.kind == "metadata":
            return Source(ARN, self.days, lambda _: self.metadata.catalog)
        return Source(self.reports, self.days)

    def put(self, key: str, body: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body.encode())
        there = self.s3.head_object(Bucket=self.bucket, Key=key)
        self.events.append(self.metadata.put(key, there["ETag"], there["ContentLength"], there["LastModified"]))

    def remove(self, key: str) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=key)
        self.events.append(self.metadata.event(key, "DELETE"))

    def write_down(self) -> None:
        """Let AWS write down what is there now."""
        rows = objects(self.s3, self.bucket)
        if self.kind == "metadata":
            self.metadata.log(self.events)
            self.events.clear()
            self.metadata.hold([one | {"sequence_number": "1"} for one in rows])
        else:
            # Reports are minutes apart here, and of now.
            at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=self.metadata.number)
            began = {"creationTimestamp": str(int(datetime.now(UTC).timestamp() + 1) * 1000)}
            report(self.s3, self.reports, self.bucket, at, self.kind, rows[::2], rows[1::2], **began)

    def find(self, source: Source | None = None, rule: str = "parent", **more: Any) -> Found:
        self.runs += 1
        return find(
            *(self.catalog, "orchard", f"r{self.runs}", EXTRACTOR, [f"s3://{self.bucket}/photos/"]),
            rule=LabelRule.parse(rule), source=source or self.source, s3=self.s3, **more,
        )  # fmt: skip

    def batch(self) -> dict[str, str]:
        """Return the last run's batch: {key: action}."""
        rows = self.catalog.load_table("orchard.batches").scan(f"run_id = 'r{self.runs}'").to_arrow().to_pylist()
        return {row["uri"].removeprefix(f"s3://{self.bucket}/photos/"): row["action"] for row in rows}

    def end(self) -> None:
        """Do the last run's batch, as the steps would, and end it."""
        run = {"run_id": f"r{self.runs}", "extractor_id": EXTRACTOR}
        rows = self.catalog.load_table("orchard.batches").scan(f"run_id = 'r{self.runs}'").to_arrow().to_pylist()
        if gone := [row["uri"] for row in rows if row["action"] != "add"]:
            for name in ("embeddings", "rejects"):
                if (table := table_or_none(self.catalog, "orchard", name)) is not None:
                    table.delete(In("uri", gone))
        there = {f"s3://{self.bucket}/{one['key']}": f'"{one["e_tag"]}"' for one in objects(self.s3, self.bucket)}
        todo = [row for row in rows if row["action"] != "delete"]
        done = [row for row in todo if there.get(row["uri"]) == row["etag"]]
        columns = ("uri", "etag", "label")
        if done:
            tables.fill(self.catalog, "embeddings", [{name: row[name] for name in columns} | run for row in done])
        if left := [row for row in todo if row not in done]:
            reason = {"reason": "gone, or changed since it was listed"}
            tables.fill(
                self.catalog, "rejects", [{name: row[name] for name in columns[:2]} | reason | run for row in left]
            )
        replace_run(self.catalog, "orchard", {**run, "ended_at": datetime.now(UTC)})

    def held(self) -> dict[str, str]:
        """Return what is embedded: {key: etag}."""
        rows = self.catalog.load_table("orchard.embeddings").scan().to_arrow().to_pylist()
        assert len({row["uri"] for row in rows}) == len(rows)
        return {row["uri"].removeprefix(f"s3://{self.bucket}/"): row["etag"] for row in rows}


@pytest.fixture(params=["CSV", "Parquet", "metadata"])
def world(request: pytest.FixtureRequest, aws: Any, bucket: str, tmp_path: Path) -> World:
    s3 = aws.client("s3")
    reports = f"reports-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=reports, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    address = f"s3://{reports}/all/{bucket}/daily/"
    catalog, metadata = open_catalog(str(tmp_path / "lake")), Metadata(tmp_path / "metadata", bucket)
    return World(s3, bucket, address, catalog, metadata, request.param)


@pytest.mark.parametrize("seed", range(3))
def test_in_the_end_it_is_as_listing_has_it(world: World, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos come, change and go, the source is written down at any time, and runs are killed before they end."""
    monkeypatch.setattr("orchard.photos.losses.MISSING_SHARE", 1.0)
    draw = random.Random(seed)
    names = [
        f"photos/{label}/{i}{odd}.jpg" for label in ("Apple Red", "Fig") for i in range(6) for odd in ("", "+%25é")
    ]
    there: set[str] = set()
    world.write_down()

    def live(some: int) -> None:
        for _ in range(some):
            name = draw.choice(names)
            if name in there and draw.random() < 0.4:
                world.remove(name)
                there.discard(name)
            else:
                world.put(name, f"{draw.random()}" if draw.random() < 0.9 else "again the same")
                there.add(name)

    for _ in range(6):
        live(draw.randrange(8))
        if draw.random() < 0.8:
            world.write_down()
        live(draw.randrange(4))
        world.find()
        live(draw.randrange(2))
        if draw.random() < 0.7:
            world.end()
    world.write_down()
    world.find()
    world.end()
    expected = {one["key"]: f'"{one["e_tag"]}"' for one in objects(world.s3, world.bucket)}
    assert expected.keys() == there
    assert world.held() == expected
    assert world.find().nothing
    assert world.find(source=Source()).nothing


def test_the_batch_is_the_one_of_a_listing(world: World) -> None:
    for i in range(20):
        world.put(f"photos/Apple/{i}.jpg", str(i))
    world.put("photos/top.jpg", "x")
    world.put("photos/notes.txt", "x")
    world.put("elsewhere/Apple/1.jpg", "x")
    world.write_down()
    by_listing = world.find(source=Source(), write=False)
    found = world.find()
    assert found == by_listing
    assert (found.added, found.left_out) == (21, {"named .txt": 1})
    assert by_listing.source == "listing"
    assert found.source.startswith("the live inventory of S3" if world.kind == "metadata" else "S3 Inventory of 20")
    assert found.requests.get("LIST", 0) == (0 if world.kind == "metadata" else 1)
    world.end()
    world.put("photos/Apple/0.jpg", "changed")
    world.remove("photos/Apple/1.jpg")
    world.put("photos/Pear/new.jpg", "new")
    world.write_down()
    found = world.find()
    assert world.batch() == {"Apple/0.jpg": "change", "Apple/1.jpg": "delete", "Pear/new.jpg": "add"}
    assert found.listed == 22
    assert found.requests["HEAD"] == 3
    rows = world.catalog.load_table("orchard.batches").scan(f"run_id = 'r{world.runs}'").to_arrow().to_pylist()
    changed = next(row for row in rows if row["action"] == "change")
    head = world.s3.head_object(Bucket=world.bucket, Key="photos/Apple/0.jpg")
    assert (changed["etag"], changed["size"], changed["label"]) == (head["ETag"], 7, "Apple")
    assert changed["last_modified"] == head["LastModified"]


def test_what_is_newer_waits_and_what_is_older_does_not_go(world: World) -> None:
    for i in range(10):
        world.put(f"photos/Apple/{i}.jpg", str(i))
    world.write_down()
    world.put("photos/Apple/10.jpg", "not written down yet")
    world.find(source=Source())  # a listing sees it
    world.end()
    world.put("photos/Apple/11.jpg", "nor this")
    world.put("photos/Apple/0.jpg", "nor that it has changed")
    world.remove("photos/Apple/1.jpg")
    found = world.find()
    assert found.added == found.changed == found.deleted == 0
    world.write_down()
    world.find()
    assert world.batch() == {"Apple/0.jpg": "change", "Apple/1.jpg": "delete", "Apple/11.jpg": "add"}


def test_the_guard_comes_before_any_question(world: World) -> None:
    for i in range(10):
        world.put(f"photos/Apple/{i}.jpg", str(i))
    world.write_down()
    world.find()
    world.end()
    for i in range(5):
        world.remove(f"photos/Apple/{i}.jpg")
    world.write_down()
    heads = []
    world.s3.meta.events.register("before-call.s3.HeadObject", lambda **_: heads.append(1), unique_id="count")
    with pytest.raises(MassDeletionError, match="5 of the 10 photos"):
        world.find()
    world.s3.meta.events.unregister("before-call.s3.HeadObject", unique_id="count")
    assert heads == []
    assert world.find(mass_deletion_meant=True).deleted == 5


def test_no_more_are_asked_for_than_a_run_may(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmation, "MOST", 3)
    for i in range(30):
        world.put(f"photos/Apple/{i:02}.jpg", str(i))
    world.write_down()
    found = world.find()
    assert (found.added, found.requests.get("HEAD")) == (30, None)  # so many are taken at the source's word
    world.end()
    for i in range(5):
        world.remove(f"photos/Apple/{i:02}.jpg")
    world.put("photos/Apple/05.jpg", "changed")
    world.write_down()
    for expected in (
        {"00": "delete", "01": "delete", "02": "delete"},
        {"03": "delete", "04": "delete", "05": "change"},
    ):
        found = world.find()
        assert world.batch() == {f"Apple/{name}.jpg": action for name, action in expected.items()}
        assert found.requests["HEAD"] == 3
        world.end()
    assert world.find().nothing


def test_what_a_limit_leaves_is_found_again(world: World) -> None:
    for i in range(5):
        world.put(f"photos/Apple/{i}.jpg", str(i))
    world.write_down()
    world.find()
    world.end()
    for i in range(5, 8):
        world.put(f"photos/Apple/{i}.jpg", str(i))
    world.write_down()
    taken = []
    for _ in range(4):
        taken.append(world.find(limit=1).added)
        world.end()
    assert taken == [1, 1, 1, 0]


def test_all_is_listed_after_some_days(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.days = 7
    for i in range(9):
        world.put(f"photos/Apple/{i}.jpg", str(i))
    world.write_down()
    assert world.find().source != "listing"
    world.end()
    world.put("photos/Apple/9.jpg", "what the source never tells")
    assert world.find().nothing
    read = watermark.read

    def long_ago(*args: Any) -> watermark.Watermark:
        mark = read(*args)
        assert mark is not None
        return watermark.Watermark(**{**vars(mark), "listed_at": mark.listed_at - timedelta(days=7)})

    with monkeypatch.context() as patched:
        patched.setattr(watermark, "read", long_ago)
        found = world.find()
        assert (found.source, found.added) == ("listing", 1)
    world.end()
    assert world.find().source != "listing"
    world.days = 0
    assert world.find().source == "listing"


def test_many_that_are_newer_are_no_reason_to_stop(world: World) -> None:
    """As when a listing has found many since the last report."""
    world.put("photos/Apple/0.jpg", "0")
    world.write_down()
    time.sleep(1.1)  # S3 tells seconds apart, and so does a report
    for i in range(1, 9):
        world.put(f"photos/Apple/{i}.jpg", str(i))
    assert world.find(source=Source()).added == 9
    world.end()
    found = world.find()
    assert found.nothing
    assert "HEAD" not in found.requests


def test_a_look_moves_nothing(world: World) -> None:
    world.put("photos/Apple/1.jpg", "1")
    world.write_down()
    for _ in range(2):
        assert world.find(write=False).added == 1
    assert "orchard.discovered" not in world.catalog.load_table("orchard.batches").properties


def test_a_source_of_another_bucket(world: World) -> None:
    world.put("photos/Apple/1.jpg", "1")
    world.write_down()
    with pytest.raises(SourceError) as caught:
        find(world.catalog, "orchard", "r", "e", ["s3://others/"], source=world.source, s3=world.s3)
    assert str(caught.value) == (
        f"source '{world.source.text}': it knows nothing of others, where the prefixes are. Let the setting source be "
        "one of that bucket, or listing."
    )


def test_buckets_that_it_does_not_know_are_listed(world: World, aws: Any) -> None:
    other = f"{world.bucket}-2"
    world.s3.create_bucket(Bucket=other, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    world.s3.put_object(Bucket=other, Key="photos/Fig/1.jpg", Body=b"x")
    world.put("photos/Apple/1.jpg", "1")
    world.write_down()
    prefixes = [f"s3://{world.bucket}/photos/", f"s3://{other}/photos/"]
    found = find(world.catalog, "orchard", "r1", EXTRACTOR, prefixes, source=world.source, s3=world.s3)
    assert (found.listed, found.added) == (2, 2)


@pytest.mark.parametrize("world", ["metadata"], indirect=True)
class TestWatermark:
    """When events are enough, and when everything is looked at."""

    @pytest.fixture(autouse=True)
    def begun(self, world: World) -> None:
        for i in range(3):
            world.put(f"photos/Apple/{i}.jpg", str(i))
        world.write_down()
        assert world.find().added == 3
        world.end()

    def told(self, world: World, **more: Any) -> str:
        return world.find(**more).source.partition(" since")[0]

    def test_events_are_enough(self, world: World) -> None:
        assert self.told(world) == "S3 Metadata's journal"
        world.metadata.hold([])  # nobody looks
        assert world.find().nothing

    def test_not_while_the_run_before_has_not_ended(self, world: World) -> None:
        world.put("photos/Apple/new.jpg", "x")
        world.write_down()
        for _ in range(3):
            assert world.find().added == 1  # by the events since the last run that has ended
        world.end()
        assert world.find().nothing

    @pytest.mark.parametrize("change", [{"rule": "parent/2"}, {"leave_out": ["*.bak"]}])
    def test_another_way_of_looking_sees_everything(self, world: World, change: dict[str, Any]) -> None:
        assert self.told(world, **change) == "the live inventory of S3 Metadata"
        world.end()
        assert self.told(world, **change) == "S3 Metadata's journal"
        assert self.told(world) == "the live inventory of S3 Metadata"

    def test_nor_after_the_lake_was_taken_back(self, world: World) -> None:
        embeddings = world.catalog.load_table("orchard.embeddings")
        before = embeddings.current_snapshot()
        assert before
        world.put("photos/Apple/3.jpg", "3")
        world.write_down()
        world.find()
        world.end()
        world.find()
        embeddings.refresh().manage_snapshots().set_current_snapshot(before.snapshot_id).commit()
        found = world.find()
        assert (found.source, found.added) == ("the live inventory of S3 Metadata", 1)

    def test_nor_after_a_week(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("orchard.photos.source._KEPT", timedelta(0))
        assert self.told(world) == "the live inventory of S3 Metadata"
