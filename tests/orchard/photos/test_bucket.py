import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from orchard.photos import bucket as module
from orchard.photos.bucket import THREADS, DisorderError, Item, Page, client_config, evenly, pages

ODD = [
    *("a//b.jpg", "a//", "/lead.jpg", "//.jpg", "///x.jpg", "./x.jpg", "../x.jpg", "a/./b.jpg", "a/../b.jpg", ".jpg"),
    *(
        "line\nbreak/\n.jpg",
        "100%/%25.jpg",
        "%2F/x.jpg",
        "a+b/c d.jpg",
        "🍎/🍏.jpg",
        "e\u0301/\u00e9.jpg",
        "\x7f/\x01.jpg",
    ),
    *(
        "trai.jpg",
        "trai/1.jpg",
        "train/2.jpg",
        "train/b/3.jpg",
        "training/4.jpg",
        "train.jpg",
        "train-5.jpg",
        "tra/6.jpg",
    ),
    *("a.jpg", "a-/1.jpg", "a/1.jpg", "a0/1.jpg", "a/a/a/a/a/a/a/a/1.jpg", "\U0010ffff/\U0010ffff.jpg", "\uffff/1.jpg"),
]


def objects(
    prefixes: list[tuple[str, str]], client: Any = None, cuts: dict[tuple[str, str], list[str]] | None = None
) -> Iterator[tuple[str, Item]]:
    """List objects one by one."""
    with closing(pages(prefixes, client, cuts)) as listed:
        for page in listed:
            assert (page.bucket, page.prefix) in prefixes
            yield from ((page.bucket, item) for item in page.items)


class Fake:
    """An S3 with some keys, which lists a few of them a page, as S3 is documented to; `meanwhile` is called in between.

    A page is what is there when it is asked for, behind the last key of the page before.
    """

    def __init__(self, keys: set[str], page: int, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.meta = SimpleNamespace(
            config=SimpleNamespace(max_pool_connections=3), events=SimpleNamespace(register_first=lambda *_, **__: None)
        )
        self.keys, self.page, self.meanwhile = keys, page, meanwhile

    def get_paginator(self, _: str) -> Any:
        return SimpleNamespace(paginate=self.pages)

    def pages(self, Bucket: str, Prefix: str, Delimiter: str = "", StartAfter: str = "") -> Iterator[dict[str, Any]]:
        assert not (Delimiter and StartAfter), "stores differ in what that gives"
        after, more = StartAfter.encode(), True
        while more:
            self.meanwhile()
            entries: dict[str, str] = {}
            for key in sorted(self.keys, key=str.encode):
                name, slash, _ = key[len(Prefix) :].partition("/")
                folder = bool(Delimiter and slash)
                entry = Prefix + name + slash if folder else key
                if key.startswith(Prefix) and entry.encode() > after:
                    entries[entry] = "Prefix" if folder else "Key"
            rows = list(entries.items())
            more, rows = len(rows) > self.page, rows[: self.page]
            page: dict[str, Any] = {}
            for value, kind in rows:
                page.setdefault("Contents" if kind == "Key" else "CommonPrefixes", []).append({kind: value})
                after = value.encode()
            yield page


KEYS = st.sets(st.text("/a.z\U0001f34e\uffff", min_size=1, max_size=6), max_size=40)


@settings(max_examples=300, deadline=None)
@given(
    keys=KEYS,
    prefix=st.text("/a.z", max_size=3),
    page=st.integers(1, 10),
    parts=st.integers(1, 8),
    looks=st.integers(1, 8),
    cuts=st.lists(st.text("/a.z\U0001f34e\uffff", max_size=6), max_size=12),
)
def test_every_key_once_whatever_keys_and_cuts_there_are(
    keys: set[str], prefix: str, page: int, parts: int, looks: int, cuts: list[str]
) -> None:
    """Cuts by the folders that are found, at any place, and at keys that are there."""
    keys = {key + ".jpg" for key in keys} | keys
    expected = sorted(key for key in keys if key.startswith(prefix) and not key.endswith("/"))
    where = ("b", prefix)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PARTS", parts)
        patch.setattr(module, "_LOOKS", looks)
        for at in ([], cuts, [prefix + cut for cut in cuts], evenly(expected, parts)):
            found = sorted(item["Key"] for _, item in objects([where], Fake(keys, page), {where: at}))
            assert found == expected


@settings(max_examples=200, deadline=None)
@given(data=st.data(), there=KEYS, come=KEYS, go=KEYS, page=st.integers(1, 5))
def test_keys_that_come_and_go_meanwhile(
    data: st.DataObject, there: set[str], come: set[str], go: set[str], page: int
) -> None:
    """What was there all the time is listed once, and nothing twice."""
    go, come = go - there, come - there - go
    changes = data.draw(
        st.permutations([*((key, True) for key in sorted(come)), *((key, False) for key in sorted(go))])
    )
    cuts = data.draw(st.lists(st.sampled_from(sorted({"a", *there, *come, *go})), max_size=6))
    keys, lock = there | go, threading.Lock()

    def meanwhile() -> None:
        with lock:
            for key, comes in [changes.pop() for _ in range(min(3, len(changes)))]:
                # Never in place: another page is just being made.
                fake.keys = fake.keys | {key} if comes else fake.keys - {key}

    fake = Fake(keys, page, meanwhile)
    found = Counter(item["Key"] for _, item in objects([("b", "")], fake, {("b", ""): cuts}))
    real = {key for key in there if not key.endswith("/")}
    assert real <= found.keys() <= {key for key in there | come | go if not key.endswith("/")}
    assert set(found.values()) <= {1}


@given(keys=st.lists(st.text("abc", max_size=3), max_size=50).map(sorted), parts=st.integers(1, 60))
def test_even_cuts_are_keys_in_their_order(keys: list[str], parts: int) -> None:
    cuts = evenly(keys, parts)
    assert len(cuts) < parts
    assert cuts == sorted({*cuts} & {*keys})
    assert evenly([f"{i:03}" for i in range(100)], 4) == ["025", "050", "075"]


def test_requests_are_counted() -> None:
    keys, requests = {f"{i:02}.jpg" for i in range(20)}, Counter[str]()
    for _ in pages([("b", "")], Fake(keys, 5), {("b", ""): ["04.jpg", "09.jpg"]}, requests):
        pass
    assert requests == {"LIST": 1 + 1 + 2}  # a range that ends with a page asks for no more
    requests.clear()
    assert [len(page.items) for page in pages([("b", "")], Fake(keys, 5), None, requests)] == [5] * 4
    assert requests == {"LIST": 4 + 4}  # as many to look for folders


class Disordered(Fake):
    """A store that lists as it likes."""

    def pages(self, Bucket: str, Prefix: str, Delimiter: str = "", StartAfter: str = "") -> Iterator[dict[str, Any]]:
        for key in ("b", "a", "c"):
            yield {"Contents": [{"Key": key}]}


def test_a_store_that_lists_in_no_order_is_refused() -> None:
    with pytest.raises(DisorderError) as caught:
        list(pages([("b", "")], Disordered(set(), 1)))
    assert str(caught.value) == (
        "s3://b/: the store listed 'a' after 'b'; expected keys in the order of their UTF-8, as S3 lists them. Nothing "
        "was deleted; the store cannot be listed side by side."
    )
    # But for directory buckets, which do so, and are listed page after page.
    directory = [("photos--euw1-az1--x-s3", "")]
    found = list(pages(directory, Disordered(set(), 1), {directory[0]: ["b"]}))
    assert found == [Page(*directory[0], [{"Key": key}]) for key in ("b", "a", "c")]


@pytest.fixture
def s3(aws: Any) -> Any:
    """Open a client of its own, whose requests a test may meddle with."""
    return boto3.client("s3", config=client_config())


def put(aws: Any, bucket: str, keys: list[str]) -> None:
    client = aws.client("s3")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: client.put_object(Bucket=bucket, Key=key, Body=b"x"), keys))


def oracle(aws: Any, bucket: str, prefix: str) -> list[tuple[str, str]]:
    """List with boto3's paginator alone."""
    pages = aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    items = (item for page in pages for item in page.get("Contents", ()))
    return sorted((item["Key"], item["ETag"]) for item in items if not item["Key"].endswith("/"))


def listed(bucket: str, prefix: str, client: Any = None, cuts: Sequence[str] = ()) -> list[tuple[str, str]]:
    where = (bucket, prefix)
    return sorted((item["Key"], item["ETag"]) for _, item in objects([where], client, {where: list(cuts)}))


def no_thread_is_left() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith("listing")]


def test_odd_keys(aws: Any, bucket: str, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(aws, bucket, ODD)
    for page, parts in ((1000, 32), (3, 2), (2, 100), (1, 1)):
        # As if S3 gave so few keys a page.
        s3.meta.events.register_first(
            "before-parameter-build.s3.ListObjectsV2", lambda params, page=page, **_: params.update(MaxKeys=page), page
        )
        monkeypatch.setattr(module, "_PARTS", parts)
        for prefix in ("", "trai", "train/", "a", "a/", "a//", "/", "//", ".", "..", "%", "line\n", "🍎", "none/"):
            for cuts in ((), ODD):
                assert listed(bucket, prefix, s3, cuts) == oracle(aws, bucket, prefix), (page, parts, prefix)
        s3.meta.events.unregister("before-parameter-build.s3.ListObjectsV2", unique_id=page)
    assert len(listed(bucket, "")) == len(ODD) - 1


def test_more_than_a_page(aws: Any, bucket: str) -> None:
    keys = [f"many/{i:04}/1.jpg" for i in range(1003)] + [f"flat/{i:04}.jpg" for i in range(1003)]
    put(aws, bucket, [*keys, "many/x.jpg", "many/0500.jpg"])
    found = listed(bucket, "")
    assert found == oracle(aws, bucket, "")
    assert len(found) == len(keys) + 2
    assert listed(bucket, "many/0") == oracle(aws, bucket, "many/0")


def test_several_prefixes_of_several_buckets(aws: Any, bucket: str) -> None:
    other = f"{bucket}-2"
    aws.client("s3").create_bucket(Bucket=other, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    put(aws, bucket, ["a/1.jpg", "b/2.jpg", "c/3.jpg"])
    put(aws, other, ["a/4.jpg"])
    found = {(name, item["Key"]) for name, item in objects([(bucket, "a/"), (bucket, "c"), (other, "")])}
    assert found == {(bucket, "a/1.jpg"), (bucket, "c/3.jpg"), (other, "a/4.jpg")}
    assert list(objects([])) == []


def test_side_by_side_and_on_the_callers_client(aws: Any, bucket: str, s3: Any) -> None:
    """Eight folders are asked for at the same time, or the barrier breaks."""
    put(aws, bucket, [f"{i}/x.jpg" for i in range(8)])
    meet = threading.Barrier(8, timeout=30)

    def wait(params: dict[str, Any], **_: Any) -> None:
        if "Delimiter" not in params and params.get("StartAfter") != "7/":  # there are nine ranges
            meet.wait()

    s3.meta.events.register("before-parameter-build.s3.ListObjectsV2", wait)
    assert len(listed(bucket, "", s3)) == 8


def test_no_more_threads_than_the_client_has_connections(aws: Any, bucket: str) -> None:
    client = boto3.client("s3", config=client_config().merge(Config(max_pool_connections=2)))
    names = set()
    client.meta.events.register(
        "before-parameter-build.s3.ListObjectsV2", lambda **_: names.add(threading.current_thread().name)
    )
    put(aws, bucket, [f"{i}/x.jpg" for i in range(30)])
    assert len(listed(bucket, "", client)) == 30
    assert 1 <= len(names) <= 2
    assert client_config().max_pool_connections == THREADS


def test_an_error_of_any_part_stops_it_and_is_raised(aws: Any, bucket: str, s3: Any) -> None:
    put(aws, bucket, [f"{i}/x.jpg" for i in range(20)])

    def refuse(params: dict[str, Any], **_: Any) -> None:
        if params.get("StartAfter") == "7/":
            raise PermissionError("not this one")

    s3.meta.events.register("before-parameter-build.s3.ListObjectsV2", refuse)
    with pytest.raises(PermissionError, match="not this one"):
        listed(bucket, "", s3)
    assert no_thread_is_left()
    with pytest.raises(ClientError, match="NoSuchBucket"):
        list(objects([(bucket, ""), ("there-is-no-such-bucket", "")]))
    assert no_thread_is_left()


@pytest.mark.parametrize("taken", [0, 1, 50])
def test_stopped_early_leaves_no_thread(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while the threads wait for room: these pages are many more than are kept."""
    keys = {f"{i}/{j}.jpg" for i in range(10) for j in range(100)}
    with closing(pages([("b", "")], Fake(keys, page=1))) as listed:
        for _ in range(taken):
            next(listed)
    assert no_thread_is_left()


def test_throttled_requests_are_tried_again(aws: Any, bucket: str, s3: Any) -> None:
    put(aws, bucket, ["a/1.jpg"])
    left = ["slow down"] * 2

    def throttle(request: Any, **_: Any) -> AWSResponse | None:
        if not left:
            return None
        left.pop()
        body = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
        raw = SimpleNamespace(stream=lambda **_: iter([body]), read=lambda *_: body)
        return AWSResponse(request.url, 503, {}, raw)

    s3.meta.events.register("before-send.s3.ListObjectsV2", throttle)
    assert [key for key, _ in listed(bucket, "", s3)] == ["a/1.jpg"]
    assert not left
