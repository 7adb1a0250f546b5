"""When photos have come, as a real S3 tells a real SQS: one event a burst, whatever else is there or goes wrong."""

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from orchard.dag import watcher
from orchard.dag.watcher import PhotosTrigger
from orchard.settings import Settings, SettingsError
from tests.conftest import REGION, Aws
from tests.plans import settings

# Of a trigger that is stopped in the moment in which it opens its client, in a thread.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <coroutine object AioSession._create_client:pytest.PytestUnraisableExceptionWarning",
    "ignore:coroutine 'AioSession._create_client' was never awaited:RuntimeWarning",
)
SECOND = 1 / 60  # in minutes


@dataclass(frozen=True)
class Place:
    """A bucket, and the queue that it tells of its objects."""

    aws: Aws
    bucket: str
    name: str

    @property
    def url(self) -> str:
        return f"{self.aws.url}/000000000000/{self.name}"

    def put(self, *keys: str) -> None:
        for key in keys:
            self.aws.client("s3").put_object(Bucket=self.bucket, Key=key, Body=b"photo")

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.aws.client("sqs").send_message(QueueUrl=self.url, MessageBody=body)

    def make(self) -> None:
        """Make the queue, and let the bucket tell it of all that happens."""
        arn = f"arn:aws:sqs:{REGION}:000000000000:{self.name}"
        allowed = {
            "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage",
            "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{self.bucket}"}},
        }  # fmt: skip
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        self.aws.client("sqs").create_queue(QueueName=self.name, Attributes={"Policy": policy})
        told = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
        self.aws.client("s3").put_bucket_notification_configuration(
            Bucket=self.bucket, NotificationConfiguration={"QueueConfigurations": [told]}
        )

    def waiting(self) -> int:
        """Count the messages, those that are hidden, too."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.aws.client("sqs").get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def settings(self, **changes: Any) -> Settings:
        given = {"events_queue": self.url, "quiet_minutes": 2 * SECOND, "gather_minutes": 60, **changes}
        return settings(lake=f"s3://{self.bucket}/lake", prefixes=(f"s3://{self.bucket}/photos",), **given)


@pytest.fixture
def place(aws: Aws, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    place = Place(aws, bucket, f"events-{uuid.uuid4().hex[:8]}")
    monkeypatch.setattr(watcher, "SETTLE", 0.0)
    monkeypatch.setattr(watcher, "PAUSE", 0.1)
    monkeypatch.setattr(watcher, "LONGEST_PAUSE", 0.4)
    monkeypatch.setattr(watcher, "read_settings", place.settings)
    return place


class Said:
    """What was logged so far, which Airflow prints; all lines of a kind."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    @property
    def text(self) -> str:
        self._text += "".join(self._capsys.readouterr())
        return self._text

    def all(self, pattern: str) -> list[str]:
        """Find what the group of a pattern matched, each time."""
        return re.findall(pattern, self.text)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    return Said(capsys)


@pytest.fixture
def queue(place: Place) -> Place:
    place.make()
    return place


async def happens(what: Callable[[], Any], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not await asyncio.to_thread(what):
        assert time.monotonic() < until, f"Nothing after {seconds} s"
        await asyncio.sleep(0.05)


async def broken_off(waiting: "asyncio.Future[Any]") -> None:
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    assert waiting.cancelled()


class Triggerer:
    """What Airflow's triggerer does: it takes what a trigger fires, and always waits for more."""

    def __init__(self) -> None:
        _, given = PhotosTrigger().serialize()
        self.events: list[Any] = []
        self._running = asyncio.ensure_future(self._run(PhotosTrigger(**given).run()))

    async def _run(self, events: AsyncIterator[Any]) -> None:
        async for event in events:
            self.events.append(event.payload)

    async def fired(self, count: int) -> list[Any]:
        await happens(lambda: len(self.events) >= count or self._running.done())
        return self.events

    async def stop(self) -> list[Any]:
        await broken_off(self._running)
        return self.events


def events(place: Place, *bursts: Callable[[], None]) -> list[Any]:
    """Let each burst come when the one before has been told of, and all of the queue is gone; return the events."""

    async def story() -> list[Any]:
        triggerer = Triggerer()
        for number, burst in enumerate(bursts, 1):
            await asyncio.to_thread(burst)
            await triggerer.fired(number)
            await happens(lambda: not place.waiting())
        return await triggerer.stop()

    return asyncio.run(story())


def test_photos_one_after_the_other(queue: Place) -> None:
    """S3's own message that tries the queue out counts for nothing."""
    assert queue.waiting() == 1
    told = events(queue, lambda: queue.put("photos/Fig/1.jpg"), lambda: queue.put("photos/P\u00eache plate/100%+1.jpg"))
    assert told == [
        {"photos": 1, "such_as": [f"s3://{queue.bucket}/photos/Fig/1.jpg"]},
        {"photos": 1, "such_as": [f"s3://{queue.bucket}/photos/P\u00eache plate/100%+1.jpg"]},
    ]


def test_an_odd_key_is_told_as_far_as_it_can_be_printed(queue: Place) -> None:
    """Airflow's services could not hand some letters to one another, nor its database take them."""
    s3 = {"bucket": {"name": queue.bucket}, "object": {"key": "photos/Fig/%00\ud800%0A%FF.jpg"}}
    body = json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": s3}]})
    (event,) = events(queue, lambda: queue.send(body))
    assert event == {"photos": 1, "such_as": [f"s3://{queue.bucket}/photos/Fig/???\ufffd.jpg"]}


def test_a_burst_is_one_event(queue: Place) -> None:
    """And what comes after it is another one's."""
    queue.put(*(f"photos/Fig/{number}.jpg" for number in range(50)))
    first, last = events(queue, lambda: None, lambda: queue.put("photos/last.jpg"))
    assert first["photos"] == 50
    assert last == {"photos": 1, "such_as": [f"s3://{queue.bucket}/photos/last.jpg"]}


def test_a_burst_without_end_is_cut(queue: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quiet would be a day."""
    given = queue.settings(quiet_minutes=1440, gather_minutes=SECOND)
    monkeypatch.setattr(watcher, "read_settings", lambda: given)
    (event,) = events(queue, lambda: queue.put("photos/Fig/1.jpg", "photos/Fig/2.jpg"))
    assert event["photos"] in (1, 2)


def test_what_are_no_photos_starts_nothing(queue: Place, said: Said) -> None:
    """It is all taken out of the queue, and what cannot be read is told."""
    queue.put("photos/Fig/", "photos/Fig/.DS_Store", "photos/notes.txt", "photos/__MACOSX/1.jpg")
    queue.put("1.jpg", "lake/reports/1.jpg", "photos-of-cats/1.jpg")
    queue.aws.client("s3").delete_object(Bucket=queue.bucket, Key="photos/notes.txt")
    odd = ["hello", "{}", '{"Records": [{"eventName": 7}]}', "[]"]
    queue.send(*odd)

    async def story() -> list[Any]:
        triggerer = Triggerer()
        await happens(lambda: not queue.waiting())
        await asyncio.to_thread(queue.put, "photos/Fig/1.jpg")
        await triggerer.fired(1)
        return await triggerer.stop()

    assert asyncio.run(story()) == [{"photos": 1, "such_as": [f"s3://{queue.bucket}/photos/Fig/1.jpg"]}]
    dropped = said.all(r"is not understood, and dropped: it .+(?:\)|object): (.+?) +\[orchard")
    assert sorted(dropped) == sorted(odd)


def test_a_triggerer_that_dies_loses_nothing(queue: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither while more photos are waited for, nor once the event is fired and Airflow may not have it yet."""
    monkeypatch.setattr(watcher, "HOLD", 2)
    patient, hasty = queue.settings(quiet_minutes=60), queue.settings()
    queue.put(*(f"photos/Fig/{number}.jpg" for number in range(5)))

    async def story() -> list[Any]:
        monkeypatch.setattr(watcher, "read_settings", lambda: patient)
        triggerer = Triggerer()
        await happens(lambda: queue.waiting() == 1)
        assert await triggerer.stop() == []
        monkeypatch.setattr(watcher, "read_settings", lambda: hasty)
        monkeypatch.setattr(watcher, "SETTLE", 600.0)
        triggerer = Triggerer()
        await triggerer.fired(1)
        assert await asyncio.to_thread(queue.waiting) == 1
        told = await triggerer.stop()
        monkeypatch.setattr(watcher, "SETTLE", 0.0)
        triggerer = Triggerer()
        await triggerer.fired(1)
        await happens(lambda: not queue.waiting())
        return told + await triggerer.stop()

    told = asyncio.run(story())
    assert [event["photos"] for event in told] == [1, 1]  # by the one message that was kept


def test_the_message_that_is_kept_comes_back_and_counts_once(queue: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last receipt deletes it."""
    given = queue.settings(quiet_minutes=4 * SECOND)
    monkeypatch.setattr(watcher, "read_settings", lambda: given)
    monkeypatch.setattr(watcher, "HOLD", 1)
    monkeypatch.setattr(watcher, "POLL", 1)
    assert [event["photos"] for event in events(queue, lambda: queue.put("photos/Fig/1.jpg"))] == [1]


def test_a_queue_that_is_made_later(place: Place, said: Said) -> None:
    """Until then it is told, with growing pauses."""
    failed = r"New photos are not heard of, and wait for the daily run: .*The specified queue does not exist.*"

    async def story() -> list[Any]:
        triggerer = Triggerer()
        await happens(lambda: len(said.all(failed)) >= 4)
        await asyncio.to_thread(place.make)
        await asyncio.to_thread(place.put, "photos/Fig/1.jpg")
        await triggerer.fired(1)
        return await triggerer.stop()

    assert [event["photos"] for event in asyncio.run(story())] == [1]
    assert said.all(rf"{failed}Trying again in (\S+) s\.")[:4] == ["0.1", "0.2", "0.4", "0.4"]
    assert "Traceback" not in said.text


def test_sqs_is_gone_and_back(queue: Place, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    """So are settings that make no sense, and an error that nobody has thought of."""

    def told(error: str) -> Callable[[], Any]:
        return lambda: said.all(f"New photos are not heard of, and wait for the daily run: {error}")

    def broken(error: Exception) -> Callable[[], Settings]:
        def read() -> Settings:
            raise error

        return read

    async def story() -> list[Any]:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        triggerer = Triggerer()
        await happens(told("Could not connect to the endpoint URL"))
        monkeypatch.setattr(watcher, "read_settings", broken(SettingsError("There is no variable.")))
        await happens(told(r"There is no variable\."))
        assert "Traceback" not in said.text
        monkeypatch.setattr(watcher, "read_settings", broken(ZeroDivisionError("odd")))
        await happens(told("odd"))
        assert "Traceback" in said.text
        monkeypatch.setenv("AWS_ENDPOINT_URL", queue.aws.url)
        monkeypatch.setattr(watcher, "read_settings", queue.settings)
        await asyncio.to_thread(queue.put, "photos/Fig/1.jpg")
        await triggerer.fired(1)
        return await triggerer.stop()

    assert [event["photos"] for event in asyncio.run(story())] == [1]


def test_without_a_queue_it_sleeps_until_there_is_one(
    queue: Place, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting may change while it runs, both ways."""
    monkeypatch.setattr(watcher, "LOOK_AGAIN", 0.5)
    none, looked = queue.settings(events_queue=None), []

    def read() -> Settings:
        looked.append(none)
        return none

    async def story() -> list[Any]:
        monkeypatch.setattr(watcher, "read_settings", read)
        await asyncio.to_thread(queue.put, "photos/Fig/1.jpg")
        triggerer = Triggerer()
        await happens(lambda: len(looked) >= 3)
        assert (queue.waiting(), triggerer.events) == (2, [])
        monkeypatch.setattr(watcher, "read_settings", queue.settings)
        await triggerer.fired(1)
        await happens(lambda: not queue.waiting())
        before = len(looked)
        monkeypatch.setattr(watcher, "read_settings", read)
        await happens(lambda: len(looked) > before)
        await asyncio.to_thread(queue.put, "photos/Fig/2.jpg")
        await happens(lambda: len(looked) > before + 2)
        assert queue.waiting() == 1
        return await triggerer.stop()

    assert [event["photos"] for event in asyncio.run(story())] == [1]
    none_told = "none, the setting events_queue is empty"
    assert said.all(r"The queue that tells of new photos: (.+?)\. ") == [none_told, queue.url, none_told]
