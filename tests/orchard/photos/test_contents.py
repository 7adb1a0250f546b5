from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from orchard.photos import contents
from orchard.photos.contents import read_fast

S3 = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
HEAD = "<Name>b</Name><Prefix>p</Prefix><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>"
ITEM = (
    "<Contents><Key>a b/é.jpg</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified>"
    "<ETag>&quot;0123&quot;</ETag><Size>12345678901</Size><StorageClass>STANDARD</StorageClass></Contents>"
)


class Answering:
    """A client of S3 that gets answers of ours."""

    def __init__(self) -> None:
        self.s3 = boto3.client(
            "s3",
            region_name="eu-west-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}),
        )
        self.s3.meta.events.register("before-send.s3.ListObjectsV2", self._send)

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        raw = SimpleNamespace(stream=lambda **_: iter([self.body]), read=lambda *_: self.body)
        return AWSResponse(request.url, self.status, {}, raw)

    def list(self, body: str | bytes, status: int = 200) -> dict[str, Any]:
        self.body, self.status = body.encode() if isinstance(body, str) else body, status
        answer: dict[str, Any] = self.s3.list_objects_v2(Bucket="b")
        del answer["ResponseMetadata"]
        return answer


PLAIN, FAST = Answering(), Answering()
read_fast(FAST.s3)
read_fast(FAST.s3)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give how many objects were read of each page, without botocore."""
    counts: list[int] = []
    original = contents._item

    def item(*args: Any) -> dict[str, Any]:
        counts[-1] += 1
        return original(*args)

    monkeypatch.setattr(contents, "_item", item)
    counts.append(0)
    return counts


def page(inside: str, attributes: str = S3) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult{attributes}>{HEAD}{inside}</ListBucketResult>'


def test_a_page_of_s3(read: list[int]) -> None:
    answer = FAST.list(page(ITEM * 3))
    assert answer["Contents"][2] == {
        "Key": "a b/é.jpg",
        "LastModified": datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC),
        "ETag": '"0123"',
        "Size": 12345678901,
        "StorageClass": "STANDARD",
    }
    assert read == [3]
    assert answer == PLAIN.list(page(ITEM * 3))


OWNER = "<Owner><ID>1</ID><DisplayName>me</DisplayName><Other>x</Other></Owner>"


@pytest.mark.parametrize(
    ("body", "fast"),
    [
        (page(""), False),
        (page(ITEM, attributes=""), True),
        (page(ITEM + "<CommonPrefixes><Prefix>x/</Prefix></CommonPrefixes>"), True),
        (page(f"<CommonPrefixes><Prefix>x/</Prefix></CommonPrefixes>{ITEM}<KeyCount>1</KeyCount>"), True),
        (page(f"{ITEM}<CommonPrefixes><Prefix>x/</Prefix></CommonPrefixes>{ITEM}"), False),
        (page("<Contents><Key>only</Key></Contents>"), False),
        (page("<Contents></Contents>"), False),
        (page("<Contents/>"), False),
        (page("<Contents><Key/><Size>1</Size></Contents>"), False),
        (page(ITEM.replace("&quot;", "")), True),
        (page(ITEM.replace("&quot;", '"')), True),
        (page(ITEM.replace("<Size>", f"{OWNER}<Size>")), False),
        (page(ITEM.replace("<Size>", "<ChecksumAlgorithm>A</ChecksumAlgorithm><Size>")), True),
        (page(ITEM.replace("<Size>", "<ChecksumAlgorithm>A</ChecksumAlgorithm><ChecksumType>T</ChecksumType><Size>")),
         True),
        (page(ITEM.replace("<Size>", "<ChecksumAlgorithm>A</ChecksumAlgorithm>" * 2 + "<Size>")), False),
        (page(ITEM.replace("<StorageClass>STANDARD</StorageClass>", "")), True),
        (page(f"{ITEM}<!-- between -->{ITEM}"), False),
        (page(f"{ITEM}\n{ITEM}"), True),
        (page(ITEM.replace("<Size>", "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>"
              "<Size>")), False),
        (page(ITEM.replace("<Size>", "<New>x</New><Size>")), False),
        (page(ITEM.replace("2026-01-02T03:04:05.678Z", "Fri, 02 Jan 2026 03:04:05 GMT")), False),
        (page(ITEM.replace("05.678Z", "05.678")), False),
        (page(ITEM.replace("05.678Z", "05.678+05:30")), True),
        (page(ITEM.replace("<Contents>", "<Contents >") + ITEM), False),
        (page(ITEM.replace("<Contents>", '<Contents xmlns="urn:other">') + ITEM), False),
        (page(ITEM.replace("a b", "a&#13;&#10;b]]&gt;")), False),
        (page(ITEM.replace("a b", "a&amp;&lt;b")), False),
        (page(ITEM.replace("a b", "a\rb")), False),
        (page(ITEM.replace("a b", "a\x7f\u0085\u2028b")), False),
        (page(ITEM.replace("a b", "a\u0085\u2028 b")), True),
        (page(ITEM.replace("a b", "a\ufffeb")), False),
        (page(ITEM.replace("a b", "<![CDATA[<Contents>]]>")), False),
        (page(ITEM.replace("<Contents>", "<!-- <Contents> --><Contents>")), False),
        (page("\n  " + ITEM.replace("><", ">\n    <") + "\n"), False),
        (page(ITEM).replace("UTF-8", "ISO-8859-1").encode("latin-1"), False),
        (page(ITEM).replace("UTF-8", "UTF-16").encode("utf-16"), False),
    ],
)  # fmt: skip
def test_it_is_as_botocore_reads_it(body: str | bytes, fast: bool, read: list[int]) -> None:
    try:
        expected = PLAIN.list(body)
    except Exception as error:
        with pytest.raises(type(error)):
            FAST.list(body)
    else:
        assert FAST.list(body) == expected
        assert bool(read[0]) or not fast


@settings(max_examples=200, deadline=None)
@given(
    keys=st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1), max_size=5),
    encoded=st.booleans(),
)
def test_any_key(keys: list[str], encoded: bool) -> None:
    """Encoded, as S3 does where it is asked, and botocore asks; and as it is, where a store does not."""
    items = "".join(ITEM.replace("a b/é.jpg", quote(key) if encoded else escape(key)) for key in keys)
    body = page(f"<EncodingType>url</EncodingType>{items}" if encoded else items)
    found = FAST.list(body)
    assert [item["Key"] for item in found.get("Contents", [])] == keys
    assert found == PLAIN.list(body)


@pytest.mark.parametrize("status", [200, 403, 503])
def test_an_error_is_botocores(status: int) -> None:
    body = f"<Error><Code>SlowDown</Code><Message>{ITEM}</Message></Error>"
    for client in (PLAIN, FAST):
        with pytest.raises(ClientError, match="SlowDown"):
            client.list(body, status)


def test_what_is_no_xml_is_botocores_too() -> None:
    for client in (PLAIN, FAST):
        with pytest.raises(ClientError, match="500"):
            client.list(page(ITEM)[:-5])
