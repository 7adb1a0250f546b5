"""Names of augmented photos."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.exact import augmented


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        ("0_100.jpg.augmented-1.jpg", "0_100.jpg"),
        ("Fig (2).PNG.augmented-12.webp", "Fig (2).PNG"),
        ("0_100.jpg", None),
        ("augmented-1.jpg", None),
        (".augmented-1.jpg", None),
        ("0_100.augmented.jpg", None),
        ("0_100.jpg.augmented-.jpg", None),
        ("0_100.jpg.augmented-1", None),
    ],
)
def test_names(name: str, origin: str | None) -> None:
    assert augmented.origin(name) == origin
    assert augmented.is_augmented(f"s3://bucket/augmented-1.jpg/{name}") == (origin is not None)


@given(st.text(min_size=1).filter(lambda name: "/" not in name), st.integers(1, 10**6))
def test_a_name_says_what_it_is_made_of(name: str, number: int) -> None:
    assert augmented.origin(augmented.name(name, number)) == name
