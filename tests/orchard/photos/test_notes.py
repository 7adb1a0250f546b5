import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchard.photos.label import LabelRule
from orchard.photos.listing import canonical_prefix, list_photos
from orchard.photos.losses import MassDeletionError
from orchard.photos.notes import notes
from orchard.photos.sieve import Sieve
from orchard.photos.strays import Stray, strays, take_out


def loaded(
    listed: list[tuple[str, str, int, str | None]] | str = (),  # type: ignore[assignment]
    elsewhere: list[tuple[str, str, str | None]] = (),  # type: ignore[assignment]
    known: tuple[str, ...] = (),
) -> duckdb.DuckDBPyConnection:
    """Make the tables of a run whose photos are all new but the known ones; `listed` may be a prefix, to be listed."""
    db = duckdb.connect()
    db.execute("CREATE TABLE listed (uri VARCHAR, etag VARCHAR, size BIGINT, label VARCHAR)")
    db.execute("CREATE TABLE elsewhere (uri VARCHAR, etag VARCHAR, label VARCHAR)")
    db.execute("CREATE TABLE known (uri VARCHAR)")
    if isinstance(listed, str):
        batches = list_photos(listed, rule=LabelRule.parse("parent"), sieve=Sieve(()))
        rows = [row for batch in batches for row in batch.to_pylist()]
        listed = [(row["uri"], row["etag"], row["size"], row["label"]) for row in rows]
    for table, rows in (("listed", listed), ("elsewhere", elsewhere), ("known", [(uri,) for uri in known])):
        for row in rows:
            db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    db.execute("CREATE TABLE batch AS SELECT *, 'add' AS action FROM listed WHERE uri NOT IN (FROM known)")
    return db


def write(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_nothing_to_tell(tmp_path: Path) -> None:
    for i in range(3):
        write(tmp_path / "Apple" / f"{i}.jpg", b"%d" % i)
    prefix = canonical_prefix(str(tmp_path))
    assert notes(loaded(prefix), [prefix]) == ()


def test_a_prefix_that_lists_nothing_and_never_did() -> None:
    db = loaded([("s3://b/photos/a/1.jpg", "1", 1, "a")], known=("s3://b/old/1.jpg",))
    assert notes(db, ["s3://b/fotos/", "s3://b/old/", "s3://b/photos/"]) == (
        "No photo is under s3://b/fotos/, nor does the lake hold one from there: is that where they are?",
    )


def test_a_folder_that_was_renamed(tmp_path: Path) -> None:
    for i in range(4):
        write(tmp_path / "photos" / ("Apple" if i else "Banana") / f"{i}.jpg", b"%d" % i)
    old = canonical_prefix(str(tmp_path / "photos"))
    before = [(uri, etag, label) for uri, etag, _, label in loaded(old).execute("FROM listed").fetchall()]
    (tmp_path / "photos").rename(tmp_path / "pictures")
    write(tmp_path / "photos" / "Apple" / "1.jpg", b"back")
    new = canonical_prefix(str(tmp_path / "pictures"))
    assert notes(loaded(new, before), [new]) == (
        f"The lake holds 4 photos under {old}, which is not among the prefixes given: 1 still there. "
        f"What the lake holds stays; --take-out {old} (the Param take_out of the DAG) takes it out.",
        f"New, but in the lake under another name: 4 photos, such as {new}Apple/1.jpg, there as {old}Apple/1.jpg; "
        "each counts, and what is measured on them is too good.",
    )


@pytest.mark.parametrize(
    ("prefixes", "uris", "expected"),
    [
        (["s3://b/new/"], ["s3://b/old/x/1.jpg", "s3://b/old/y/2.jpg"], [("s3://b/old/", 2)]),
        (["s3://b/new/"], ["s3://b/old/x/1.jpg", "s3://b/old/xy.jpg"], [("s3://b/old/", 2)]),
        (["s3://b/new/"], ["s3://c/p/x/1.jpg", "s3://c/p/2.jpg", "s3://b/1.jpg"], [("s3://c/p/", 2), ("s3://b/", 1)]),
        (["s3://b/fruits"], ["s3://b/fru/1.jpg", "s3://b/f/1.jpg"], [("s3://b/f/", 1), ("s3://b/fru/", 1)]),
        (["file:///h/a/"], ["file:///h/b/1.jpg", "file:///h/1.jpg"], [("file:///h/", 1), ("file:///h/b/", 1)]),
        (["file:///h/p/"], ["file:///mnt/é/Äpfel/1.jpg", "file:///mnt/é/Ä/2.jpg"], [("file:///mnt/é/", 2)]),
        (["s3://b/p//"], ["s3://b/p/q/1.jpg"], [("s3://b/p/q/", 1)]),
    ],
)  # fmt: skip
def test_where_photos_stand_that_were_not_listed(
    prefixes: list[str], uris: list[str], expected: list[tuple[str, int]]
) -> None:
    found = strays(loaded(elsewhere=[(uri, "1", None) for uri in uris]), prefixes)
    assert [(stray.prefix, stray.photos) for stray in found] == expected


def test_many_places_are_counted(tmp_path: Path) -> None:
    prefix = canonical_prefix(str(tmp_path))
    write(tmp_path / "Apple" / "1.jpg")
    told = notes(loaded(prefix, [(f"file:///gone-{i}/1.jpg", "1", None) for i in range(5)]), [prefix])
    assert len(told) == 4
    assert told[0].startswith("The lake holds 1 photo under file:///")
    assert told[3] == "The lake holds 2 photos in 2 more places that are not among the prefixes given."


def test_what_is_still_there_in_s3(aws: Any, bucket: str) -> None:
    s3 = aws.client("s3")
    for key in ("old/a/1.jpg", "old/a/2.jpg", "old/other.txt", "new/1.jpg"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    uris = [f"s3://{bucket}/old/a/{i}.jpg" for i in range(4)] + ["s3://no-such-bucket-of-orchard/x/1.jpg"]
    db = loaded([(f"s3://{bucket}/new/1.jpg", "1", 1, "new")], [(uri, "2", None) for uri in uris])
    first, second = notes(db, [f"s3://{bucket}/new/"], s3)
    assert first.startswith(
        f"The lake holds 4 photos under s3://{bucket}/old/a/, which is not among the prefixes given: 2 "
    )
    assert "s3://no-such-bucket-of-orchard/x/, which is not among the prefixes given: 0 still there" in second
    with pytest.raises(MassDeletionError) as caught:
        take_out(db, f"s3://{bucket}/old", [f"s3://{bucket}/new/"], s3=s3)
    assert str(caught.value).startswith(
        f"2 of the 4 photos that the lake holds under s3://{bucket}/old/ are still there: a prefix that is gone was "
        "expected, so nothing is taken out and the run stops."
    )


def test_probable_twins() -> None:
    listed = [(f"s3://b/{i}", str(i), 1, label) for i, label in enumerate(["Apple Red", "apple red", "Fig", None])]
    assert notes(loaded(listed, [("file:///x/5.jpg", "5", "fig")]), ["s3://b/"])[-1:] == (
        "Labels that differ only in case or blanks, probably meant to be one: 'Apple Red' and 'apple red'; 'Fig' and "
        "'fig'.",
    )


class TestCopies:
    def test_on_a_disk_bytes_are_compared(self, tmp_path: Path) -> None:
        one = write(tmp_path / "Apple" / "1.jpg", b"12345")
        for copy in ("Apple/1 (copy).jpg", "Pear/2.jpg"):
            (tmp_path / copy).parent.mkdir(exist_ok=True)
            shutil.copyfile(one, tmp_path / copy)
        write(tmp_path / "Apple" / "3.jpg", b"54321")
        write(tmp_path / "Apple" / "empty.jpg", b"")
        write(tmp_path / "Pear" / "empty.jpg", b"")
        prefix = canonical_prefix(str(tmp_path))
        assert notes(loaded(prefix), [prefix]) == (
            f"The same bytes under another name: 2 photos, such as {prefix}Apple/1.jpg, those of "
            f"{prefix}Apple/1 (copy).jpg; each counts, and what is measured on them is too good.",
        )
        known = tuple(f"{prefix}{name}" for name in ("Apple/1.jpg", "Apple/1 (copy).jpg", "Pear/2.jpg", "Apple/3.jpg"))
        assert notes(loaded(prefix, known=known), [prefix]) == ()  # it was told when they came

    def test_in_s3_by_etag(self) -> None:
        listed = [(f"s3://b/p/{i}.jpg", str(i // 2), 3, "p") for i in range(5)]
        assert notes(loaded(listed), ["s3://b/p/"]) == (
            "The same bytes under another name: 2 photos, such as s3://b/p/1.jpg, those of s3://b/p/0.jpg; each "
            "counts, and what is measured on them is too good.",
        )


class TestTakeOut:
    def test_all_under_the_prefix_and_nothing_else(self, tmp_path: Path) -> None:
        gone = [(f"file:///gone/a/{i}.jpg", str(i), "a") for i in range(3)]
        db = loaded(elsewhere=[*gone, gone[0], ("file:///gone-too/1.jpg", "4", None)])
        take_out(db, "/gone", ["s3://b/"])
        assert db.execute("SELECT uri, etag, label, action FROM batch ORDER BY uri").fetchall() == [
            (uri, etag, None, "delete") for uri, etag, _ in gone
        ]
        assert strays(db, ["s3://b/"]) == [Stray("file:///gone-too/", 1, "file:///gone-too/")]

    def test_what_is_still_there_stays_unless_it_is_meant(self, tmp_path: Path) -> None:
        path = write(tmp_path / "photos" / "1.jpg")
        db = loaded(elsewhere=[(f"file://{path}", "1", None), (f"file://{path}.jpg", "2", None)])
        with pytest.raises(MassDeletionError) as caught:
            take_out(db, str(path.parent), ["s3://b/"])
        assert str(caught.value) == (
            f"1 of the 2 photos that the lake holds under file://{path.parent}/ are still there: a prefix that is gone "
            "was expected, so nothing is taken out and the run stops. Name it among the prefixes to keep it; if its "
            "photos are to leave the lake, say so: --mass-deletion-meant, or the Param mass_deletion_meant of the DAG."
        )
        assert db.execute("FROM batch").fetchall() == []
        take_out(db, str(path.parent), ["s3://b/"], meant=True)
        assert len(db.execute("FROM batch").fetchall()) == 2

    @pytest.mark.parametrize(
        ("prefix", "message"),
        [
            (
                "s3://b/old/new",
                "s3://b/old/new: expected to take out a prefix that is not among those given, got one that overlaps "
                "with s3://b/old/, which is listed: its photos would be found again. Leave it out there first.",
            ),
            (
                "s3://c/typo",
                "s3://c/typo: expected a prefix to take out that the lake holds photos under, got one with none. "
                "Besides what is listed, it holds 1 under s3://c/photos/.",
            ),
            ("s3://", "s3://: expected s3://bucket or s3://bucket/prefix."),
        ],
    )
    def test_what_cannot_be_taken_out(self, prefix: str, message: str) -> None:
        with pytest.raises(ValueError) as caught:
            take_out(loaded(elsewhere=[("s3://c/photos/1.jpg", "1", None)]), prefix, ["s3://b/old/"])
        assert str(caught.value) == message
