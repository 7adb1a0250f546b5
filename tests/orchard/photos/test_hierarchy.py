"""Parents of labels: by a rule, and from a file."""

import uuid
from pathlib import Path

import pytest

from orchard.lake import parents
from orchard.lake.tables import open_catalog, table_or_none
from orchard.photos.discovery import find
from orchard.photos.hierarchy import _AUGMENTED, Hierarchy, HierarchyError
from orchard.photos.label import LabelRule
from spark_jobs.exact.augmented import is_augmented
from tests.conftest import REGION, Aws


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in (
        "Apple/Royal-Gala/1.jpg",
        "Apple/Anjou/1.jpg",
        "Pear/Anjou/1.jpg",
        "Pear/Conference/1.jpg",
        "Kiwi/1.jpg",
    ):
        (path := tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "photos"


def found_in(
    lake: Path, photos: Path, hierarchy: str | None, *, run: str = "r1", write: bool = True
) -> tuple[str, ...]:
    catalog = open_catalog(str(lake))
    rule = Hierarchy.parse(hierarchy) if hierarchy else None
    return find(catalog, "orchard", run, "e", [str(photos)], hierarchy=rule, write=write).notes


def held(lake: Path) -> dict[str, str]:
    return parents.read(open_catalog(str(lake)), "orchard")


def test_by_a_rule(photos: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    notes = found_in(lake, photos, "parent/2")
    assert held(lake) == {"Royal-Gala": "Apple", "Conference": "Pear"}
    assert notes == (
        "Photos of the label 'Anjou' are under 'Apple' and 'Pear': it has no parent until the rules of label and "
        "hierarchy tell them apart.",
    )
    # The next day the pears are elsewhere; what is not listed keeps what was found.
    (photos / "Apple/Anjou/1.jpg").unlink()
    (tmp_path / "other").mkdir()
    (photos / "Pear").rename(tmp_path / "other/Birnen")
    (tmp_path / "other/Birnen/Anjou/2.jpg").write_bytes(b"2")
    assert found_in(lake, tmp_path / "other", "parent/2", run="r2") == ()
    assert held(lake) == {"Royal-Gala": "Apple", "Conference": "Birnen", "Anjou": "Birnen"}
    assert parents.rule(open_catalog(str(lake)), "orchard") == "parent/2"


def test_another_rule_forgets_what_the_first_found(photos: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    found_in(lake, photos / "Apple", "([A-Z]).*/", run="r1")
    assert held(lake) == {"Royal-Gala": "R", "Anjou": "A"}
    found_in(lake, photos / "Pear", "([a-z]).*/", run="r2")
    assert held(lake) == {"Anjou": "n", "Conference": "o"}
    found_in(lake, photos / "Pear", "none", run="r3")
    assert held(lake) == {}
    found_in(lake, photos / "Pear", "([a-z]).*/", run="r4")
    assert held(lake) == {"Anjou": "n", "Conference": "o"}


def test_augmented_photos_are_no_reason_to_doubt_a_parent(photos: Path, tmp_path: Path) -> None:
    """They stand a folder deeper than what they are made of, where a rule may find no parent, or another."""
    lake = tmp_path / "lake"
    made = photos / "augmented" / "Apple" / "Royal-Gala" / "1.jpg.augmented-1.jpg"
    made.parent.mkdir(parents=True)
    made.write_bytes(b"made")
    found_in(lake, photos, "^([A-Z][a-z]+)/")
    assert held(lake) == {"Royal-Gala": "Apple", "Conference": "Pear", "Kiwi": "Kiwi"}
    found_in(lake, photos / "augmented", "^([A-Z][a-z]+)/", run="r2")
    assert held(lake) == {"Royal-Gala": "Apple", "Conference": "Pear", "Kiwi": "Kiwi"}
    for name in (
        "a.jpg.augmented-1.jpg",
        "a.augmented-1.jpg",
        ".augmented-1.jpg",
        "a.augmented.jpg",
        "a.jpg",
        "a.augmented-2",
    ):
        assert bool(_AUGMENTED.search(f"Fig/{name}")) == is_augmented(f"s3://b/Fig/{name}")


def test_a_rule_that_finds_no_parent_yet_stays_the_lakes(photos: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    catalog = open_catalog(str(lake))
    for run in ("r1", "r2"):
        found_in(lake, photos, "(nowhere)/", run=run)
        assert (held(lake), parents.rule(catalog, "orchard")) == ({}, "(nowhere)/")
    found_in(lake, photos, "parent/2", run="r3")
    assert parents.rule(catalog, "orchard") == "parent/2"
    assert held(lake) == {"Royal-Gala": "Apple", "Conference": "Pear"}
    found_in(lake, photos, "none", run="r4")
    assert (held(lake), parents.rule(catalog, "orchard")) == ({}, None)


def test_not_asked_and_a_look_change_nothing(photos: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    found_in(lake, photos, None)
    found_in(lake, photos, "none", run="r2")
    found_in(lake, photos, "parent/2", run="r3", write=False)
    assert table_or_none(open_catalog(str(lake)), "orchard", "hierarchy") is None
    found_in(lake, photos, "parent/2", run="r4")
    found_in(lake, photos, None, run="r5")
    assert held(lake) == {"Royal-Gala": "Apple", "Conference": "Pear"}


def test_a_hierarchy_that_stays_is_not_written_again(photos: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    snapshots = []
    for run in ("r1", "r2"):
        found_in(lake, photos, "parent/2", run=run)
        table = table_or_none(open_catalog(str(lake)), "orchard", "hierarchy")
        assert table is not None
        snapshots.append(table.current_snapshot())
    assert snapshots[0] == snapshots[1]


def test_from_a_file(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may stand among the photos, and is none of them."""
    lake = tmp_path / "lake"
    text = 'Label, Parent\nRoyal-Gala,Apple\n\n"Anjou", Pear \nNie-gesehen,Pear\nMu\u0308ller,Pear\nMüller,Pear\n'
    (photos / "fruits.csv").write_text(text, "utf-8-sig")
    monkeypatch.chdir(photos)
    catalog = open_catalog(str(lake))
    found = find(catalog, "orchard", "r1", "e", [str(photos)], hierarchy=Hierarchy.parse("fruits.csv"))
    assert (found.listed, found.added, sum(found.left_out.values())) == (6, 5, 1)
    assert held(lake) == {"Royal-Gala": "Apple", "Anjou": "Pear", "Nie-gesehen": "Pear", "Müller": "Pear"}
    assert parents.rule(catalog, "orchard") == str(photos / "fruits.csv")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "it cannot be read (No such file or directory)"),
        (b"\xff\xfe\x00", "the file is not UTF-8 (invalid start byte)"),
        (b"Anjou;Pear\n", "its line 1 is 'Anjou;Pear', not a label and its parent"),
        (b"Anjou,Pear,green\n", "its line 1 is 'Anjou,Pear,green', not a label and its parent"),
        (b"label,parent\nAnjou,\n", "its line 2 is 'Anjou,', not a label and its parent"),
        (b"Anjou,Pear\nAnjou,Apple\n", "its line 2 gives 'Anjou' a second parent, 'Apple' beside 'Pear'"),
    ],
)
def test_files_that_are_none(content: bytes | None, why: str, tmp_path: Path, photos: Path) -> None:
    file = tmp_path / "fruits.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(HierarchyError) as refused:
        found_in(tmp_path / "lake", photos, str(file))
    assert str(refused.value) == (
        f"hierarchy {str(file)!r}: {why}; expected none, the name of a CSV file with the columns label and parent, or "
        "a rule as labels have one: parent/2, or a regular expression with a group."
    )


@pytest.mark.parametrize("text", ["", "None", "parent/0", "[", "fruit"])
def test_what_is_no_hierarchy(text: str) -> None:
    with pytest.raises(HierarchyError, match=r"expected none, the name of a CSV file"):
        Hierarchy.parse(text)


def test_a_rule_as_labels_have_one() -> None:
    assert Hierarchy.parse("parent/2") == Hierarchy("parent/2", LabelRule.parse("parent/2"))
    assert Hierarchy.parse("s3://b/x/Fruits.CSV").file == "s3://b/x/Fruits.CSV"


def test_a_file_in_a_bucket(aws_server: Aws) -> None:
    s3, bucket = aws_server.client("s3"), f"fruits-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=bucket, Key="lake/a b.csv", Body=b"Anjou,Pear\r\nConference,Pear\r\n")
    held = Hierarchy.parse(f"s3://{bucket}/lake/a b.csv")
    assert held.read_file(s3) == {"Anjou": "Pear", "Conference": "Pear"}
    with pytest.raises(HierarchyError, match=r"none\.csv': it cannot be read \(.*NoSuchKey"):
        Hierarchy.parse(f"s3://{bucket}/none.csv").read_file(s3)
