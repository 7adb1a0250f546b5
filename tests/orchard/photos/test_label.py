import unicodedata
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchard.photos.label import LabelError, LabelRule, twins, without_label

# Names as they may stand in a key; a folder's is not empty, and no dots.
names = st.text(st.characters(exclude_characters="/", codec="utf-8"), min_size=1).filter(
    lambda name: name not in (".", "..")
)
folders = st.lists(names, max_size=4)


def label(rule: str, key: str) -> str | None:
    return LabelRule.parse(rule).find(key)


@pytest.mark.parametrize(
    ("rule", "key", "expected"),
    [
        ("parent", "Training/Apple/Apple 9/x.jpg", "Apple 9"),
        ("parent/1", "Training/Apple/Apple 9/x.jpg", "Apple 9"),
        ("parent/2", "Training/Apple/Apple 9/x.jpg", "Apple"),
        ("parent/3", "Training/Apple/Apple 9/x.jpg", "Training"),
        ("parent/4", "Training/Apple/Apple 9/x.jpg", None),
        ("([^/]+/[^/]+)/[^/]+$", "Training/Apple/Apple 9/x.jpg", "Apple/Apple 9"),
        ("([^/_]+)_[^/]*$", "2026/kaki_persimon_0012.JPG", "kaki"),
        ("([^/]+)_[^/]*$", "2026/kaki_persimon_0012.JPG", "kaki_persimon"),
        ("([^/_]+)_[^/]*$", "kaki_1.jpg", "kaki"),
        ("([^/_]+)_[^/]*$", "kaki_fruits/0012.jpg", None),
        (r"^Training/(?:[^/]+/)*(?P<label>\w+) (\d+)/", "Training/Äpfel/Äpfel 9/x.jpg", "Äpfel"),
        (r"(\d+)-(?P<label>[^.]*)", "0012-桃.jpg", "桃"),
        (r"^shop/([^/]+)/|^garden/[^/]*_([^_/]+)\.jpg$", "shop/Fig/1.jpg", "Fig"),
        (r"^shop/([^/]+)/|^garden/[^/]*_([^_/]+)\.jpg$", "garden/1_Fig.jpg", "Fig"),
        (r"(?P<label>x)?(y)", "y.jpg", None),
        ("([A-Z]*)", "apple/1.jpg", None),  # an empty label is none
        ("parent", "1.jpg", None),
        ("parent", "a//b.jpg", "a"),
        ("parent/2", "a//b/./../1.jpg", "a"),
        ("(?i)/(apple)/", "x/APPLE/1.jpg", "APPLE"),
        ("parent", "P\u00eache/1.jpg", "P\u00eache"),
        ("parent", "Pe\u0302che/1.jpg", "P\u00eache"),
        ("parent/2", " Pe\u0302che \u00a0/ripe/1.jpg", "P\u00eache"),
        ("(P\u00eache)", "Pe\u0302che_1.jpg", "P\u00eache"),
        ("(Pe\u0302che)", "P\u00eache_1.jpg", "P\u00eache"),
        ("([^_]+)_", "Apple Red _1.jpg", "Apple Red"),
        ("parent", " /1.jpg", None),
    ],
)
def test_labels(rule: str, key: str, expected: str | None) -> None:
    assert label(rule, key) == expected


@given(folders, names, st.integers(1, 6))
def test_so_many_levels_up(above: list[str], name: str, levels: int) -> None:
    expected = unicodedata.normalize("NFC", above[-levels]).strip() or None if levels <= len(above) else None
    assert label(f"parent/{levels}", "/".join([*above, name])) == expected


@given(folders, names)
def test_the_folder_as_a_regular_expression(above: list[str], name: str) -> None:
    key = "/".join([*above, name])
    assert label(r"([^/]+)/[^/]+\Z", key) == label("parent", key)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_a_rule_or_refused(text: str, key: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of what a later Python may read otherwise, such as [[
            rule = LabelRule.parse(text)
    except LabelError as error:
        assert str(error).startswith(f"label {text!r}: ")
    else:
        found = rule.find(key)
        assert found is None or (found and found == found.strip() and found in unicodedata.normalize("NFC", key))
        assert found is None or unicodedata.is_normalized("NFC", found)


def test_the_same_rule_is_equal() -> None:
    assert LabelRule.parse("parent/1") == LabelRule.parse("parent/01") == LabelRule.parse("parent")
    assert LabelRule.parse("parent/1").text == "parent"
    assert LabelRule.parse("parent/2") != LabelRule.parse("parent/3")


EXPECTED = (
    "expected parent, parent/2 (or another number of levels up, from 1), or a regular expression with a group, such as "
    "([^/_]+)_[^/]*$."
)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("parent/0", "levels are counted from 1; "),
        ("", "it has no group to take the label from; "),
        ("parent/-1", "parent is in small letters, and nothing follows it but a slash and 1 to 999; "),
        ("parent/x", "parent is in small letters, and nothing follows it but a slash and 1 to 999; "),
        ("parent/1000", "parent is in small letters, and nothing follows it but a slash and 1 to 999; "),
        (" Parent", "parent is in small letters, and nothing follows it but a slash and 1 to 999; "),
        ("parents", "it has no group to take the label from; "),
        ("(?:Apple)/", "it has no group to take the label from; "),
        ("([^/]+", "it is no regular expression (missing ), unterminated subpattern at position 0); "),
        ("(a{99999999999})", "it is no regular expression (the repetition number is too large); "),
    ],
)
def test_rules_that_cannot_be_meant(rule: str, why: str) -> None:
    with pytest.raises(LabelError) as caught:
        LabelRule.parse(rule)
    assert str(caught.value) == f"label {rule!r}: {why}{EXPECTED}"


def test_probable_twins() -> None:
    labels = [
        "Apple Red",
        "apple red",
        "AppleRed",
        "Apple Red 1",
        "Kiwi\u200b",
        "Kiwi",
        "Stra\u00dfe",
        "STRASSE",
        "Fig",
    ]
    assert twins(labels) == [("Apple Red", "AppleRed", "apple red"), ("Kiwi", "Kiwi\u200b"), ("STRASSE", "Stra\u00dfe")]
    assert twins(["Apple 1", "Apple 2", "Apple 1"]) == []


def test_photos_without_a_label_are_told() -> None:
    assert without_label(2, "parent", ("s3://b/1.jpg", "s3://b/2.jpg")) == (
        "2 by the rule parent, such as s3://b/1.jpg, s3://b/2.jpg"
    )
    assert (
        without_label(1_200, "parent/2", ("s3://b/1.jpg",)) == "1,200 by the rule parent/2, such as s3://b/1.jpg, ..."
    )
