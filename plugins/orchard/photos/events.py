"""Events: what S3 tells of new objects, in messages of a queue, and which of those objects are photos.

A message is S3's own, or came by SNS, or by EventBridge. Nothing here speaks to a queue.
"""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote_plus

from orchard.photos.listing import uri_prefix
from orchard.photos.sieve import LEAVE_OUT, Sieve


class EventError(ValueError):
    """A message that is none of S3's."""


class Watched:
    """Tells photos among the objects that messages tell of, by where they are and their names, as discovery does.

    Parameters
    ----------
    prefixes : sequence of str
        In S3, as `orchard.photos.listing.uri_prefix` takes them.
    leave_out : sequence of str
        As `Sieve` takes it.
    lake : str, optional
        Address of the lake, whose own pictures are no photos.
    """

    def __init__(self, prefixes: Sequence[str], leave_out: Sequence[str] = LEAVE_OUT, lake: str | None = None) -> None:
        self._begins = [uri_prefix(prefix) for prefix in prefixes]
        self._sieve = Sieve(leave_out, lake and f"{lake.rstrip('/')}/")

    def photos(self, body: str) -> list[str]:
        """Return the addresses of the photos that a message tells of.

        Raises
        ------
        EventError
        """
        return [uri for uri in made(body) if self._is_photo(uri)]

    def _is_photo(self, uri: str) -> bool:
        begin = next((one for one in self._begins if uri.startswith(one)), None)
        # A key with a slash at its end is what S3's console makes of a folder.
        return begin is not None and not uri.endswith("/") and self._sieve.passes(uri[len(begin) :], uri)


def made(body: str) -> list[str]:
    """Return the addresses of the objects of which a message says that they were put there.

    There are none in the message by which S3 tries out whether it may send any.

    Raises
    ------
    EventError
        With what is odd about it.
    """
    message = _read(body)
    if isinstance(message.get("TopicArn"), str):
        message = _read(message.get("Message"))
    try:
        if message.get("source") == "aws.s3":
            if message["detail-type"] != "Object Created":
                return []
            # Unlike the rest, EventBridge is told the key as it is.
            return [_address(message["detail"], lambda key: key)]
        if message.get("Event") == "s3:TestEvent":
            return []
        return [
            _address(record["s3"], unquote_plus)
            for record in message["Records"]
            if record["eventName"].startswith("ObjectCreated:")
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise EventError(f"it has not the form of S3's events ({type(error).__name__}: {error})") from error


def _read(text: Any) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise EventError(f"it is no JSON ({error})") from error
    if not isinstance(message, dict):
        raise EventError("it is no JSON object")
    return message


def _address(told: Any, decoded: Any) -> str:
    bucket, key = told["bucket"]["name"], told["object"]["key"]
    if not isinstance(bucket, str) or not isinstance(key, str):
        raise TypeError(f"bucket {bucket!r}, key {key!r}")
    return f"s3://{bucket}/{decoded(key)}"
