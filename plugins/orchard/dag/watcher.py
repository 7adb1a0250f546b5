"""Watcher: a trigger that fires when photos have come, as the bucket's events say (setting `events_queue`).

Nothing depends on it: a run lists all of the prefixes, whatever started it, and one comes every day. So of many photos
that come one soon after the other, one event is enough; and an event too many costs a run that finds nothing new.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from asgiref.sync import sync_to_async
from botocore.exceptions import BotoCoreError, ClientError

from orchard.aws import hook
from orchard.settings import SettingsError, read_settings

if TYPE_CHECKING:
    from orchard.photos.events import Watched

LOOK_AGAIN = 300.0  # seconds until the settings are read again, while no photos come
HOLD = 120  # seconds for which a message that was received is hidden; then it is back, if it was not deleted
POLL = 20  # seconds, SQS' most
# What a trigger fires it hands to Airflow, which sees to it once a second and does not say when it has written it down.
SETTLE = 15.0
PAUSE, LONGEST_PAUSE = 10.0, 600.0  # seconds between tries, while something is wrong
_RETRIES = {"mode": "standard", "total_max_attempts": 2}  # the trigger tries again itself, and says so


@dataclass(frozen=True)
class Watch:
    """What is watched, as the settings say.

    Attributes
    ----------
    quiet, longest : float
        Seconds without a photo after which a burst is over, and since its first photo.
    """

    queue: str
    region: str
    quiet: float
    longest: float
    watched: "Watched"


@dataclass
class Burst:
    """Photos that came one soon after the other.

    One of the messages that told of them stays in the queue until Airflow has the event, whatever dies; the others are
    deleted as they come.

    Attributes
    ----------
    kept, receipt : str
        Which message, and what SQS wants to hear to delete it.
    first : float
        Since when, by the monotonic clock.
    such_as : list of str
        Some of the photos, as far as they can be printed: keys are odd, and not all of Airflow's databases take all.
    count : int
        Of all; one counts as often as it was told of.
    """

    kept: str
    receipt: str
    first: float
    such_as: list[str]
    count: int = 0


class PhotosTrigger(BaseEventTrigger):
    """Fire once for each burst of photos, for ever; where there is no queue, sleep.

    It never ends by itself, and never fails: Airflow would start it again within a second, again and again.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def serialize(self) -> tuple[str, dict[str, Any]]:
        # Nothing of the settings: this is asked while the DAG is parsed.
        return "orchard.dag.watcher.PhotosTrigger", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        pause, shown = PAUSE, ""
        while True:
            try:
                watch = await sync_to_async(read_watch)()
                queue = watch.queue if watch else "none, the setting events_queue is empty"
                if queue != shown:
                    shown = queue
                    self.log.info("The queue that tells of new photos: %s.", queue)
                if watch is None:
                    await asyncio.sleep(LOOK_AGAIN)
                    continue
                async with await hook("sqs", watch.region, retries=_RETRIES).get_async_conn() as sqs:
                    if burst := await gather(sqs, watch, self.log):
                        self.log.info("Photos have come, told of %s times: a run is asked for.", burst.count)
                        yield TriggerEvent({"photos": burst.count, "such_as": burst.such_as})  # type: ignore[no-untyped-call]
                        await asyncio.sleep(SETTLE)
                        await sqs.delete_message(QueueUrl=watch.queue, ReceiptHandle=burst.receipt)
                pause = PAUSE
            except Exception as error:  # whatever it is: see the class
                known = isinstance(error, (BotoCoreError, ClientError, SettingsError))
                self.log.warning(
                    "New photos are not heard of, and wait for the daily run: %s. Trying again in %g s.",
                    error, pause, exc_info=None if known else error,
                )  # fmt: skip
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)


def read_watch() -> Watch | None:
    """Read from the settings what is to be watched; None: nothing.

    Raises
    ------
    SettingsError
    """
    from orchard.photos.events import Watched  # reads the lake's way of listing, which parsing need not load

    settings = read_settings()
    if settings.events_queue is None:
        return None
    watched = Watched(settings.prefixes, settings.leave_out, settings.root)
    quiet, longest = settings.quiet_minutes * 60, settings.gather_minutes * 60
    return Watch(settings.events_queue, settings.region, quiet, longest, watched)


async def gather(sqs: Any, watch: Watch, log: Any) -> Burst | None:
    """Wait for photos, and until no more come; None where there were none for `LOOK_AGAIN`.

    All messages are deleted, whatever they say, but for the burst's first one.
    """
    burst, until = None, time.monotonic() + LOOK_AGAIN
    while True:
        answer = await sqs.receive_message(
            QueueUrl=watch.queue,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=min(max(math.ceil(until - time.monotonic()), 0), POLL),
            VisibilityTimeout=HOLD,
        )
        now, came = time.monotonic(), 0
        done: list[dict[str, str]] = []
        for message in answer.get("Messages", ()):
            if burst and message["MessageId"] == burst.kept:  # it is back, and tells nothing new
                burst.receipt = message["ReceiptHandle"]
                continue
            photos = _photos(watch, message, log)
            if photos and burst is None:
                burst = Burst(message["MessageId"], message["ReceiptHandle"], now, [*map(_printable, photos[:3])])
            else:
                done.append({"Id": str(len(done)), "ReceiptHandle": message["ReceiptHandle"]})
            came += len(photos)
        if done:
            await sqs.delete_message_batch(QueueUrl=watch.queue, Entries=done)
        if burst and came:
            burst.count += came
            until = min(now + watch.quiet, burst.first + watch.longest)
        # Not before a look that found none: what is in the queue already is of this burst.
        if now >= until and (not came or (burst and now >= burst.first + watch.longest)):
            return burst


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text)


def _photos(watch: Watch, message: dict[str, Any], log: Any) -> list[str]:
    from orchard.photos.events import EventError

    try:
        return watch.watched.photos(message["Body"])
    except EventError as error:
        log.warning("A message of %s is not understood, and dropped: %s: %.500s", watch.queue, error, message["Body"])
        return []
