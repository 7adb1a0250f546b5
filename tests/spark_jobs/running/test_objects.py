import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from spark_jobs.extractor.photos import PhotoError
from spark_jobs.running import objects

GONE = "gone: the object was deleted after it was listed"
NO_FILE = f"{GONE} (or its name is not UTF-8)"
CHANGED = "changed: the object was overwritten after it was listed; the next run will find its new version"

KEYS = [
    *(
        "a/1.jpg",
        "with space/ x .jpg",
        "100%.jpg",
        "%25/%2F.jpg",
        "a+b=c.jpg",
        "#.jpg",
        "#1/x.jpg#1",
        "a?b.jpg",
        "~/x.jpg",
    ),
    *("\u00e9/\u00e9.jpg", "e\u0301/e\u0301.jpg", "🍎/🍎.jpg", "line\nbreak.jpg", "crlf\r\n.jpg", "back\\slash.jpg"),
    *("'\".jpg", "&amp;<x>.jpg", "*.jpg", "tab\t\x01\x7f.jpg", ".hidden", "...", "a:b|c.jpg"),
]
KEYS_OF_S3 = ["a//b.jpg", "//.jpg", "./x.jpg", "a/./x.jpg", "a/../b.jpg", "../b.jpg", "..", "a/", "/x.jpg", "x.jpg/"]


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Keep no client from test to test: its endpoint and credentials are those of its time."""
    cached = (objects.open_root, objects.s3_store, objects._boto3_client)
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


def content(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest() * 3


def etag(path: Path) -> str:
    return objects.file_etag(os.stat(path))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "Apple" / "1.jpg"
    path.parent.mkdir()
    path.write_bytes(b"photo")
    return path


class TestFile:
    @pytest.mark.parametrize("key", KEYS)
    def test_the_right_bytes(self, tmp_path: Path, key: str) -> None:
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(key))
        assert objects.read(f"file://{path}", etag(path)) == content(key)
        path.write_bytes(b"")
        with pytest.raises(PhotoError) as caught:
            objects.read(f"file://{path}", '"0-0-0"')
        assert str(caught.value) == CHANGED
        path.unlink()
        with pytest.raises(PhotoError) as caught:
            objects.read(f"file://{path}", '"0-0-0"')
        assert str(caught.value) == NO_FILE

    @pytest.mark.parametrize("key", KEYS)
    def test_what_is_written_is_read(self, tmp_path: Path, key: str) -> None:
        for data in (b"", content(key)):
            objects.write(f"file://{tmp_path}/{key}", data)
            assert (tmp_path / key).read_bytes() == data
        assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1

    @pytest.mark.parametrize("nanoseconds", [1_700_000_000_123_456_789, 1_999, 0, -1, -86_400_000_000_001])
    @pytest.mark.parametrize("name", ["1.jpg", "line\nbreak.jpg"])
    def test_files_of_any_age(self, tmp_path: Path, nanoseconds: int, name: str) -> None:
        path = tmp_path / name
        path.write_bytes(b"photo")
        os.utime(path, ns=(nanoseconds, nanoseconds))
        assert objects.read(f"file://{path}", etag(path)) == b"photo"

    def test_the_etag_of_an_older_batch(self, photo: Path) -> None:
        older = obstore.head(LocalStore(), str(photo))["e_tag"]
        assert older is not None and etag(photo).startswith(older[:-1] + "-")
        assert objects.read(f"file://{photo}", older) == photo.read_bytes()

    def test_through_a_link(self, photo: Path) -> None:
        (photo.parent / "link.jpg").symlink_to("1.jpg")
        assert objects.read(f"file://{photo.parent}/link.jpg", etag(photo)) == b"photo"

    @pytest.mark.parametrize("name", ["1.jpg", "line\nbreak.jpg"])
    def test_overwritten_by_as_many_bytes(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        path.write_bytes(b"photo")
        listed = etag(path)
        os.utime(path, ns=(0, 1_000_000_000))
        with pytest.raises(PhotoError) as caught:
            objects.read(f"file://{path}", listed)
        assert str(caught.value) == CHANGED

    @pytest.mark.parametrize("name", ["1.jpg", "line\nbreak.jpg"])
    @pytest.mark.parametrize("became", ["a folder", "a link to itself", "below a file", "below nothing"])
    def test_what_is_no_file_any_more_is_the_photos_fault(self, tmp_path: Path, name: str, became: str) -> None:
        """The run goes on: raised as the system's fault it would fail each time it is done again."""
        path = tmp_path / "Apple" / name
        if became == "a folder":
            path.mkdir(parents=True)
        elif became == "a link to itself":
            path.parent.mkdir()
            path.symlink_to(name)
        elif became == "below a file":
            path.parent.write_bytes(b"")
        with pytest.raises(PhotoError) as caught:
            objects.read(f"file://{path}", '"1-1-1"')
        assert str(caught.value) == NO_FILE

    @pytest.mark.parametrize("times", [1, 100])
    def test_names_that_are_not_utf8(self, tmp_path: Path, times: int) -> None:
        """Listed with escapes, four characters a byte, which can be longer than a name may be."""
        with open(os.fsencode(tmp_path) + b"/" + b"\xe9" * times + b".jpg", "wb") as file:
            file.write(b"photo")
        with pytest.raises(PhotoError) as caught:
            objects.read(f"file://{tmp_path}/" + r"\xe9" * times + ".jpg", '"1-1-1"')
        assert str(caught.value) == NO_FILE

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
    @pytest.mark.parametrize("name", ["1.jpg", "line\nbreak.jpg"])
    def test_no_access_is_the_systems_fault(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        path.write_bytes(b"photo")
        listed = etag(path)
        path.chmod(0)
        with pytest.raises(Exception, match="ermission") as caught:
            objects.read(f"file://{path}", listed)
        assert not isinstance(caught.value, PhotoError)

    def test_errors_of_the_disk_are_the_systems_fault(self, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("builtins.open", fail)
        with pytest.raises(OSError, match="Input/output"):
            objects.read(f"file://{photo}\n", etag(photo))

    def test_other_addresses(self) -> None:
        for uri in ("/tmp/x.jpg", "http://x/y.jpg", "s3a://b/k"):
            with pytest.raises(ValueError) as caught:
                objects.read(uri, '"1"')
            assert str(caught.value) == f"Expected a uri file://... or s3://..., got {uri!r}."


class TestBucket:
    @pytest.fixture
    def s3(self, aws: Any) -> Any:
        return aws.client("s3")

    def test_the_right_bytes(self, s3: Any, bucket: str) -> None:
        """Whatever the key; and those of no other object that a client might take for it."""
        for key in [*KEYS, *KEYS_OF_S3]:
            for decoy in {key.strip("/"), os.path.normpath(key), key.replace("//", "/")} - {key, "", ".", ".."}:
                s3.put_object(Bucket=bucket, Key=decoy, Body=b"another object")
            listed = s3.put_object(Bucket=bucket, Key=key, Body=content(key))["ETag"]
            uri = f"s3://{bucket}/{key}"
            objects.write(uri, content(key))
            assert (key, objects.read(uri, listed)) == (key, content(key))
            s3.put_object(Bucket=bucket, Key=key, Body=b"overwritten")
            with pytest.raises(PhotoError) as caught:
                objects.read(uri, listed)
            assert (key, str(caught.value)) == (key, CHANGED)
            s3.delete_object(Bucket=bucket, Key=key)
            with pytest.raises(PhotoError) as caught:
                objects.read(uri, listed)
            assert (key, str(caught.value)) == (key, GONE)

    def test_an_empty_object(self, s3: Any, bucket: str) -> None:
        listed = s3.put_object(Bucket=bucket, Key="a/empty.jpg", Body=b"")["ETag"]
        assert objects.read(f"s3://{bucket}/a/empty.jpg", listed) == b""

    @pytest.mark.parametrize("key", ["a/1.jpg", "a//1.jpg", "/1.jpg"])
    def test_no_such_bucket_is_the_systems_fault(self, aws: Any, key: str) -> None:
        with pytest.raises((FileNotFoundError, ClientError), match="NoSuchBucket") as caught:
            objects.read(f"s3://there-is-no-such-bucket/{key}", '"1"')
        assert not isinstance(caught.value, PhotoError)

    @pytest.mark.parametrize("key", ["a/1.jpg", "a//1.jpg", "/1.jpg"])
    def test_wrong_credentials_are_the_systems_fault(
        self, s3: Any, bucket: str, key: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        listed = s3.put_object(Bucket=bucket, Key=key, Body=b"photo")["ETag"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOBODY")
        for one in (key, "a/none.jpg", "a//none.jpg"):
            with pytest.raises((BaseError, PermissionError, ClientError), match="InvalidAccessKeyId") as caught:
                objects.read(f"s3://{bucket}/{one}", listed)
            assert not isinstance(caught.value, PhotoError)

    @pytest.mark.parametrize("key", ["a/1.jpg", "a//1.jpg", "/1.jpg"])
    def test_no_permission_is_the_systems_fault(
        self, aws: Any, s3: Any, bucket: str, key: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        iam = aws.client("iam")
        iam.create_user(UserName=bucket)
        nobody = iam.create_access_key(UserName=bucket)["AccessKey"]
        listed = s3.put_object(Bucket=bucket, Key=key, Body=b"photo")["ETag"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", nobody["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", nobody["SecretAccessKey"])
        with pytest.raises((BaseError, PermissionError, ClientError), match="AccessDenied") as caught:
            objects.read(f"s3://{bucket}/{key}", listed)
        assert not isinstance(caught.value, PhotoError)

    @pytest.mark.parametrize("key", ["a//1.jpg", "/1.jpg"])
    def test_nobody_answers(self, aws: Any, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only for the keys that boto3 reads: obstore goes on trying for minutes, as a cluster should."""
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        with pytest.raises(BotoCoreError):
            objects.read(f"s3://any/{key}", '"1"')


class TestOpenRoot:
    @pytest.mark.parametrize("name", ["lake", "my läke/new", "50% #1"])
    def test_a_folder_is_made(self, tmp_path: Path, name: str) -> None:
        store = objects.open_root(str(tmp_path / name))
        obstore.put(store, "exports/a b%.csv", b"1,2")
        assert (tmp_path / name / "exports" / "a b%.csv").read_bytes() == b"1,2"
        assert objects.open_root(str(tmp_path / name)) is store
        obstore.delete(store, "exports/a b%.csv")
        assert (tmp_path / name).is_dir()

    @pytest.mark.parametrize("prefix", ["", "/", "/lake", "/a/b/"])
    def test_a_bucket(self, aws: Any, bucket: str, prefix: str) -> None:
        store = objects.open_root(f"s3://{bucket}{prefix}")
        obstore.put(store, "exports/x.csv", b"1,2")
        key = f"{prefix.strip('/')}/exports/x.csv".lstrip("/")
        assert aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read() == b"1,2"
        assert [meta["path"] for page in obstore.list(store) for meta in page] == ["exports/x.csv"]

    def test_a_region_that_only_aws_region_names(self, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """S3 sends those who ask in another region away."""
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        obstore.put(objects.open_root(f"s3://{bucket}/lake"), "x", b"there")
        assert objects.read_whole(f"s3://{bucket}/lake/x") == b"there"

    def test_the_endpoint_of_s3_comes_first(self, aws: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", aws.url)
        obstore.put(objects.open_root(f"s3://{bucket}"), "x", b"1")


class TestReadWhole:
    def test_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "mobile net#1%.zip"
        path.write_bytes(b"artefact")
        assert objects.read_whole(str(path)) == b"artefact"

    @pytest.mark.parametrize(
        "address",
        ["file://{}/a b%20.jpg", "file:{}/a%20b%2520.jpg", "file://localhost{}/a b%20.jpg", "file://{}/a%20b%2520.jpg"],
    )
    def test_an_address_as_browsers_write_it(self, address: str, tmp_path: Path) -> None:
        (tmp_path / "a b%20.jpg").write_bytes(b"decoded")
        assert objects.read_whole(address.format(tmp_path)) == b"decoded"

    def test_the_name_as_it_stands_comes_first(self, tmp_path: Path) -> None:
        for name in ("a b.jpg", "a%20b.jpg"):
            (tmp_path / name).write_bytes(name.encode())
        for begin in ("", "file:", "file://"):
            assert objects.read_whole(f"{begin}{tmp_path}/a%20b.jpg") == b"a%20b.jpg"

    @pytest.mark.parametrize("address", ["https://example.org/a.jpg", "gs://b/a.jpg", "file://elsewhere/a.jpg"])
    def test_other_addresses(self, address: str) -> None:
        expected = FileNotFoundError if address.startswith("file") else objects.AddressError
        with pytest.raises(expected):
            objects.read_whole(address)

    def test_a_bucket(self, aws: Any, bucket: str) -> None:
        aws.client("s3").put_object(Bucket=bucket, Key="artefacts/x.zip", Body=b"artefact")
        assert objects.read_whole(f"s3://{bucket}/artefacts/x.zip") == b"artefact"

    def test_none(self, aws: Any, bucket: str, tmp_path: Path) -> None:
        for address in (str(tmp_path / "none.zip"), f"s3://{bucket}/none.zip"):
            with pytest.raises(FileNotFoundError):
                objects.read_whole(address)
