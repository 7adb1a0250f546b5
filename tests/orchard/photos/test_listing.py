import os
import sys
import threading
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from botocore.exceptions import ClientError

from orchard.photos import listing
from orchard.photos.listing import SCHEMA, canonical_prefix, list_photos
from orchard.photos.sieve import SUFFIXES, Sieve
from spark_jobs.running.objects import file_etag, read

ODD_NAMES = [
    *("with space", " leading and trailing ", "100%", "%25", "%2F", "a+b", "a=b", "#", "#1", "a?b", "~", "~user"),
    *("\u00e9clair", "e\u0301clair", "🍎", "line\nbreak", "cr\r\n", "back\\slash", "'quote\"", "&amp;", "<x>", "*"),
    *("-rf", "$HOME", "a:b", "tab\t", "\x01\x7f", ".hidden", "..", "...", "x" * 200),
]


def rows(prefix: str | Path, sieve: Sieve | None = None) -> list[dict[str, Any]]:
    batches = list(list_photos(canonical_prefix(str(prefix)), sieve=sieve or Sieve(())))
    assert all(batch.schema == SCHEMA and batch.num_rows for batch in batches)
    return pa.Table.from_batches(batches, SCHEMA).to_pylist()


def labels(folder: Path) -> dict[str, str | None]:
    """List a folder: {path below it: label}."""
    top = f"file://{folder.resolve()}/"
    found = rows(folder)
    assert all(row["uri"].startswith(top) for row in found)
    by_path = {row["uri"].removeprefix(top): row["label"] for row in found}
    assert len(by_path) == len(found)
    return by_path


def spelled(name: str) -> str:
    """Spell a label: in Unicode's composed form, without blanks at its ends."""
    return unicodedata.normalize("NFC", name).strip()


def write(path: Path, data: bytes = b"photo") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def spelt(name: str) -> str:
    """Return the label of a folder of that name; the key holds the name as it is."""
    return unicodedata.normalize("NFC", name).strip()


class TestFolder:
    def test_names(self, tmp_path: Path) -> None:
        names = [name for name in ODD_NAMES if name != ".."]
        for name in names:
            write(tmp_path / name / f"{name}.jpg")
        assert labels(tmp_path) == {f"{name}/{name}.jpg": spelt(name) for name in names}

    def test_a_row(self, tmp_path: Path) -> None:
        path = write(tmp_path / "Apple Red" / "1.jpg", b"12345")
        os.utime(path, ns=(0, 1_700_000_000_123_456_789))
        (row,) = rows(tmp_path)
        modified = row.pop("last_modified")
        assert modified.isoformat().startswith("2023-11-14T22:13:20.12345")
        assert row == {
            "uri": f"file://{tmp_path.resolve()}/Apple Red/1.jpg",
            "etag": f'"{path.stat().st_ino:x}-{1_700_000_000_123_456:x}-5-{path.stat().st_ctime_ns // 1000:x}"',
            "size": 5,
            "label": "Apple Red",
        }

    @pytest.mark.parametrize("nanoseconds", [1_700_000_000_123_456_789, 1_999, 1, 0, -1, -86_400_000_000_001])
    def test_the_etag_is_the_data_planes(self, tmp_path: Path, nanoseconds: int) -> None:
        path = write(tmp_path / "Apple" / "1.jpg", b"x" * 1000)
        (tmp_path / "Apple" / "link.jpg").symlink_to(path)
        os.utime(path, ns=(nanoseconds, nanoseconds))
        for row in rows(tmp_path):
            assert (row["etag"], row["size"]) == (file_etag(path.stat()), 1000)
            assert read(row["uri"], row["etag"]) == b"x" * 1000

    def test_other_bytes_under_the_same_size_and_time(self, tmp_path: Path) -> None:
        """As `cp -p` of another file over it leaves them, or `touch -d`."""
        path = write(tmp_path / "Apple" / "1.jpg", b"12345")
        os.utime(path, ns=(0, 1_700_000_000_123_456_789))
        (before,) = rows(tmp_path)
        path.write_bytes(b"54321")
        os.utime(path, ns=(0, 1_700_000_000_123_456_789))
        (after,) = rows(tmp_path)
        assert before["last_modified"] == after["last_modified"]
        assert before["etag"] != after["etag"]

    def test_label_is_the_folder_that_it_stands_in(self, tmp_path: Path) -> None:
        for path in ("top.jpg", "a/1.jpg", "a/b/2.jpg", "a/b/c/3.jpg"):
            write(tmp_path / path)
        assert labels(tmp_path) == {"top.jpg": None, "a/1.jpg": "a", "a/b/2.jpg": "b", "a/b/c/3.jpg": "c"}
        assert labels(tmp_path / "a") == {"1.jpg": None, "b/2.jpg": "b", "b/c/3.jpg": "c"}

    def test_only_what_is_named_like_a_photo(self, tmp_path: Path) -> None:
        for suffix in SUFFIXES:
            write(tmp_path / "a" / f"lower{suffix}")
            write(tmp_path / "a" / f"UPPER{suffix.upper()}")
        for name in ("notes.txt", "x.jpg.txt", "x.jpg~", "x.svg", "x.CR2"):
            write(tmp_path / "a" / name)
        looked_into = {"jpg", "x", "IMG_2", ".jpg", "x.jpg?itok=1a2B", "x.JPG!d", "x.png:large"}
        for name in looked_into:
            write(tmp_path / "a" / name)
        expected = {f"a/{case}" for s in SUFFIXES for case in (f"lower{s}", f"UPPER{s.upper()}")}
        assert set(labels(tmp_path)) == expected | {f"a/{name}" for name in looked_into}

    def test_the_files_of_other_programs(self, tmp_path: Path) -> None:
        others = {
            "of macOS": ["._1.jpg", "__MACOSX/Apple/._1.jpg", ".DS_Store"],
            "of Windows": ["$RECYCLE.BIN/1.jpg", "Apple/THUMBS.DB"],
            "of a NAS": ["Apple/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg"],
            "of Jupyter": ["Apple/.ipynb_checkpoints/1-checkpoint.jpg"],
            "of a desktop": [".Trash-1000/files/1.jpg", "Apple/.thumbnails/1.png"],
            "hidden": [".git/HEAD", "Apple/.1.jpg", ".cache/x.jpg"],
            "named .txt": ["notes.TXT", "Apple/a.txt"],
        }
        for names in others.values():
            for name in names:
                write(tmp_path / name)
        write(tmp_path / "Apple" / "1.jpg")
        write(tmp_path / "lake" / "catalog.db")
        write(tmp_path / "lake" / "tables" / "1.jpg")
        os.mkfifo(tmp_path / "pipe.jpg")
        sieve = Sieve()
        assert [row["label"] for row in rows(tmp_path, sieve)] == ["Apple"]
        assert sieve.left_out == {kind: len(names) for kind, names in others.items()} | {
            "of a lake": 1,
            "no regular file": 1,
        }
        by_choice = Sieve(["checkpoint*", "*-checkpoint.*"])
        assert {row["label"] for row in rows(tmp_path, by_choice)} >= {".cache", "1.jpg", "files", ".thumbnails"}
        assert by_choice.left_out["like *-checkpoint.*"] == 1

    def test_folders_named_like_photos(self, tmp_path: Path) -> None:
        write(tmp_path / "x.jpg" / "y.jpg")
        (tmp_path / "x.jpg" / "empty.png").mkdir()
        assert labels(tmp_path) == {"x.jpg/y.jpg": "x.jpg"}

    def test_what_is_no_file_is_no_photo(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        os.mkfifo(tmp_path / "a" / "pipe.jpg")
        (tmp_path / "a" / "link.jpg").symlink_to("pipe.jpg")
        (tmp_path / "a" / "null.jpg").symlink_to("/dev/null")
        assert labels(tmp_path) == {}

    @pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take UTF-8 only")
    def test_names_that_are_not_utf8_are_listed_with_escapes(self, tmp_path: Path) -> None:
        folder = os.fsencode(tmp_path) + b"/latin \xe9"
        os.mkdir(folder)
        with open(folder + b"/\xff\xe9.jpg", "wb") as file:
            file.write(b"x")
        assert labels(tmp_path) == {r"latin \xe9/\xff\xe9.jpg": r"latin \xe9"}

    def test_links_to_photos(self, tmp_path: Path) -> None:
        write(tmp_path / "elsewhere" / "1.jpg", b"12")
        photos = tmp_path / "photos" / "Apple"
        photos.mkdir(parents=True)
        (photos / "link.jpg").symlink_to("../../elsewhere/1.jpg")
        (photos / "named otherwise.txt").symlink_to("../../elsewhere/1.jpg")
        assert labels(tmp_path / "photos") == {"Apple/link.jpg": "Apple"}

    @pytest.mark.parametrize("target", ["nowhere", "self.jpg", "../file.txt/x.jpg", "x" * 256, "there.jpg"])
    def test_links_to_nowhere_are_listed_and_listing_goes_on(self, tmp_path: Path, target: str) -> None:
        write(tmp_path / "a" / "1.jpg")
        write(tmp_path / "file.txt")
        (tmp_path / "a" / "self.jpg").symlink_to(target)
        (tmp_path / "a" / "there.jpg").symlink_to("self.jpg")  # for "there.jpg": a loop of two
        (tmp_path / "a" / "no photo.txt").symlink_to(target)
        found = {row["uri"].rpartition("/")[2]: row for row in rows(tmp_path)}
        assert sorted(found) == ["1.jpg", "self.jpg", "there.jpg"]
        assert found["self.jpg"]["size"] == len(target)

    def test_loops_of_folders_end(self, tmp_path: Path) -> None:
        write(tmp_path / "a" / "b" / "1.jpg")
        (tmp_path / "a" / "b" / "up").symlink_to("..")
        (tmp_path / "a" / "b" / "top").symlink_to(tmp_path)
        (tmp_path / "a" / "b" / "here").symlink_to(".")
        assert labels(tmp_path) == {"a/b/1.jpg": "b"}

    @pytest.mark.parametrize("name", ["A link", "Zebra", "0"])
    def test_a_link_to_a_folder_takes_no_photo_from_it(self, tmp_path: Path, name: str) -> None:
        """Whatever its name: adding a link must not look as if all photos had moved."""
        write(tmp_path / "photos" / "Apple" / "1.jpg")
        write(tmp_path / "photos" / "Pear" / "small" / "2.jpg")
        before = labels(tmp_path / "photos")
        (tmp_path / "photos" / name).symlink_to("Apple")
        (tmp_path / "photos" / "Apple" / name).symlink_to("../Pear/small")
        assert labels(tmp_path / "photos") == before == {"Apple/1.jpg": "Apple", "Pear/small/2.jpg": "small"}

    def test_linked_folders_elsewhere_are_listed_under_the_links_name(self, tmp_path: Path) -> None:
        write(tmp_path / "elsewhere" / "deep" / "1.jpg")
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "link").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "photos" / "other").symlink_to(tmp_path / "elsewhere")
        assert labels(tmp_path / "photos") == {"link/deep/1.jpg": "deep"}

    def test_the_order_does_not_depend_on_the_file_system(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for i in range(20):
            write(tmp_path / f"{i % 3}" / f"{i}.jpg")
        first = [row["uri"] for row in rows(tmp_path)]
        scandir = os.scandir

        class Backwards:
            def __init__(self, folder: str) -> None:
                with scandir(folder) as entries:
                    self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

            def __enter__(self) -> Iterator[os.DirEntry[str]]:
                return iter(self.entries)

            def __exit__(self, *_: object) -> None:
                pass

        monkeypatch.setattr(os, "scandir", Backwards)
        assert [row["uri"] for row in rows(tmp_path)] == first

    def test_a_folder_that_cannot_be_read_stops_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(tmp_path / "a" / "1.jpg")
        write(tmp_path / "b" / "2.jpg")
        scandir = os.scandir

        def refuse(folder: str) -> Any:
            if folder.endswith("/a"):
                raise PermissionError(13, "Permission denied", folder)
            return scandir(folder)

        monkeypatch.setattr(os, "scandir", refuse)  # root may read all, so a mode of 0 would show nothing
        with pytest.raises(PermissionError):
            rows(tmp_path)

    def test_batches(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for i in range(7):
            write(tmp_path / "a" / f"{i}.jpg")
        monkeypatch.setattr(listing, "_ROWS", 3)
        assert [batch.num_rows for batch in list_photos(canonical_prefix(str(tmp_path)))] == [3, 3, 1]

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        assert list(list_photos(canonical_prefix(str(tmp_path)))) == []


class TestCanonicalPrefix:
    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            ("s3://b", "s3://b/"),
            ("s3://b/", "s3://b/"),
            ("s3://b/photos", "s3://b/photos/"),
            ("s3://b/photos/", "s3://b/photos/"),
            ("s3://b/a//%2F?#", "s3://b/a//%2F?#/"),
            ("s3://b/a//*%2F?#*", "s3://b/a//*%2F?#"),
        ],
    )
    def test_buckets(self, prefix: str, expected: str) -> None:
        assert canonical_prefix(prefix) == expected

    def test_folders_have_one_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = tmp_path / "pho%20tos #1?"
        folder.mkdir()
        (tmp_path / "link").symlink_to(folder)
        monkeypatch.chdir(tmp_path)
        expected = f"file://{folder.resolve()}/"
        for spelled in (str(folder), f"{folder}/", f"file://{folder}", "pho%20tos #1?", "./link/", "link/../link"):
            assert canonical_prefix(spelled) == expected

    def test_the_root(self) -> None:
        assert canonical_prefix("/") == "file:///"

    def test_a_prefix_is_a_folder_or_how_keys_begin(self) -> None:
        assert canonical_prefix("s3://b/fruits-360") == canonical_prefix("s3://b/fruits-360/") == "s3://b/fruits-360/"
        assert canonical_prefix("s3://b/fruits-360*") == "s3://b/fruits-360"
        assert canonical_prefix("s3://b") == canonical_prefix("s3://b/") == canonical_prefix("s3://b/*") == "s3://b/"

    def test_a_folder_in_a_lake(self, tmp_path: Path) -> None:
        write(tmp_path / "lake" / "catalog.db")
        (tmp_path / "lake" / "tables").mkdir()
        (tmp_path / "lake" / "exports" / "e").mkdir(parents=True)
        for folder in ("lake", "lake/exports/e"):
            with pytest.raises(ValueError) as caught:
                canonical_prefix(str(tmp_path / folder))
            assert str(caught.value) == (
                f"{tmp_path / folder}: expected a folder of photos beside the lake, got one in the lake "
                f"{tmp_path}/lake, whose own pictures would be taken for photos."
            )

    def test_no_bucket(self) -> None:
        for prefix in ("s3://", "s3:///key"):
            with pytest.raises(ValueError) as caught:
                canonical_prefix(prefix)
            assert str(caught.value) == f"{prefix}: expected s3://bucket or s3://bucket/prefix."

    def test_no_such_folder(self, tmp_path: Path) -> None:
        for path in (tmp_path / "none", write(tmp_path / "file.jpg")):
            with pytest.raises(NotADirectoryError) as caught:
                canonical_prefix(str(path))
            assert str(caught.value) == (
                f"{path}: expected a folder of photos, one folder a label; there is no such folder."
            )


class TestBucket:
    def put(self, aws: Any, bucket: str, *keys: str) -> None:
        s3 = aws.client("s3")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=key.encode()), keys))

    def found(self, prefix: str) -> dict[str, str | None]:
        listed = rows(prefix)
        assert len({row["uri"] for row in listed}) == len(listed)
        return {row["uri"]: row["label"] for row in listed}

    def test_keys(self, aws: Any, bucket: str) -> None:
        keys: dict[str, str | None] = {f"{name}/{name}.jpg": spelt(name) for name in ODD_NAMES}
        # Empty and dot segments are no folders.
        keys |= {key: None for key, name in keys.items() if name in (".", "..")}
        keys |= {"a//b.jpg": "a", "./x.jpg": None, "a/../b.jpg": "a", "/lead.jpg": None, "//.jpg": None}
        keys |= {"deep/er/1.JPG": "er", "top.jpg": None}
        keys["jpg"] = None
        self.put(aws, bucket, *keys, "a/", "a/notes.txt", "x.jpg/")
        assert self.found(f"s3://{bucket}") == {f"s3://{bucket}/{key}": label for key, label in keys.items()}

    def test_a_row(self, aws: Any, bucket: str) -> None:
        self.put(aws, bucket, "Apple/1.jpg")
        (row,) = rows(f"s3://{bucket}")
        meta = aws.client("s3").head_object(Bucket=bucket, Key="Apple/1.jpg")
        assert (row["etag"], row["size"]) == (meta["ETag"], 11)
        assert abs((row["last_modified"] - meta["LastModified"]).total_seconds()) < 1

    def test_pages(self, aws: Any, bucket: str) -> None:
        keys = [f"{i % 7}/{i:05}.jpg" for i in range(1005)]
        self.put(aws, bucket, *keys)
        assert sorted(self.found(f"s3://{bucket}")) == sorted(f"s3://{bucket}/{key}" for key in keys)

    def test_a_prefix_is_a_folder(self, aws: Any, bucket: str) -> None:
        self.put(aws, bucket, "photos/a/1.jpg", "photos/2.jpg", "photos-old/3.jpg", "other/4.jpg", "p%/5.jpg")
        every = {f"s3://{bucket}/photos/a/1.jpg": "a", f"s3://{bucket}/photos/2.jpg": "photos"}
        assert self.found(f"s3://{bucket}/photos/") == every
        assert self.found(f"s3://{bucket}/photos") == every
        assert self.found(f"s3://{bucket}/photos*") == every | {f"s3://{bucket}/photos-old/3.jpg": "photos-old"}
        assert self.found(f"s3://{bucket}/p%/") == {f"s3://{bucket}/p%/5.jpg": "p%"}
        assert self.found(f"s3://{bucket}/none/") == {}

    def test_no_such_bucket(self, aws: Any) -> None:
        with pytest.raises(ClientError, match="NoSuchBucket"):
            rows("s3://there-is-no-such-bucket/photos/")

    def test_no_access(self, aws: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOBODY")
        with pytest.raises(ClientError, match="InvalidAccessKeyId"):
            rows(f"s3://{bucket}")

    def test_several_prefixes_and_a_client(self, aws: Any, bucket: str, tmp_path: Path) -> None:
        self.put(aws, bucket, "a/1.jpg", "b/2.jpg", "c/3.jpg")
        folder = canonical_prefix(str(write(tmp_path / "d" / "4.jpg").parents[1]))
        prefixes = (f"s3://{bucket}/a/", folder, f"s3://{bucket}/c/")
        batches = list(list_photos(*prefixes, client=aws.client("s3")))
        found = {row["uri"]: row["label"] for batch in batches for row in batch.to_pylist()}
        assert found == {f"s3://{bucket}/a/1.jpg": "a", f"s3://{bucket}/c/3.jpg": "c", f"{folder}d/4.jpg": "d"}

    def test_stopped_early(self, aws: Any, bucket: str) -> None:
        self.put(aws, bucket, *(f"{i}/{i}.jpg" for i in range(9)))
        batches = list_photos(f"s3://{bucket}/")
        assert next(batches).num_rows == 1
        batches.close()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("listing")]
