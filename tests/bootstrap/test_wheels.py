"""Which wheels a node can install: names literally, and what is in those of the real wheelhouse."""

import io
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from bootstrap.wheels import WheelhouseError, check, download, pinned, platforms, tags

X, ARM = "x86_64", "aarch64"


def test_the_platforms_of_amazon_linux_2023() -> None:
    assert platforms(X)[:2] == ["manylinux_2_34_x86_64", "manylinux_2_33_x86_64"]
    assert platforms(X)[-4:] == [
        "manylinux_2_5_x86_64",
        "manylinux2014_x86_64",
        "manylinux2010_x86_64",
        "manylinux1_x86_64",
    ]
    assert platforms(ARM)[0] == "manylinux_2_34_aarch64"
    assert platforms(ARM)[-2:] == ["manylinux_2_17_aarch64", "manylinux2014_aarch64"]


@pytest.mark.parametrize(
    "name",
    [
        "a-1.0-cp311-cp311-manylinux_2_34_x86_64.whl",
        "a-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "a-1.0-cp39-abi3-manylinux_2_28_x86_64.whl",
        "a-1.0-py3-none-manylinux1_x86_64.whl",
        "a-1.0-py3-none-any.whl",
        "a-1.0-py2.py3-none-any.whl",
        # One of two is enough.
        "a-1.0-cp311-cp311-manylinux_2_28_x86_64.manylinux_2_39_x86_64.whl",
    ],
)
def test_what_a_node_takes(name: str) -> None:
    check([Path(name)], {"a": "a==1.0"}, X)


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("a-1.0-cp311-cp311-manylinux_2_35_x86_64.whl", "cp311-cp311-manylinux_2_35_x86_64"),
        ("a-1.0-cp311-cp311-manylinux_2_17_aarch64.whl", "cp311-cp311-manylinux_2_17_aarch64"),
        ("a-1.0-cp311-cp311-musllinux_1_2_x86_64.whl", "cp311-cp311-musllinux_1_2_x86_64"),
        ("a-1.0-cp312-cp312-manylinux_2_17_x86_64.whl", "cp312-cp312-manylinux_2_17_x86_64"),
        ("a-1.0-cp312-abi3-manylinux_2_17_x86_64.whl", "cp312-abi3-manylinux_2_17_x86_64"),
        ("a-1.0-cp311-cp311-linux_x86_64.whl", "cp311-cp311-linux_x86_64"),
        ("a-1.0-cp311-cp311-macosx_11_0_arm64.whl", "cp311-cp311-macosx_11_0_arm64"),
    ],
)
def test_what_a_node_does_not_take(name: str, tag: str) -> None:
    with pytest.raises(WheelhouseError) as caught:
        check([Path(name)], {"a": "a==1.0"}, X)
    assert str(caught.value) == (
        "Not for a node of x86_64 with glibc 2.34 (Amazon Linux 2023) and Python 3.11: "
        f"{name} is for {tag}. Pin versions that have such wheels."
    )


def test_a_wheel_too_few_and_one_too_many() -> None:
    with pytest.raises(WheelhouseError, match=r"3\.11: 0 wheels of a, expected 1; 1 wheels of b, expected 0\. Pin"):
        check([Path("b-1.0-py3-none-any.whl")], {"a": "a==1.0"}, X)


def test_markers_are_the_nodes() -> None:
    text = """\
# by make lock
a-B.c==1.0 \\
    --hash=sha256:11 \\
    --hash=sha256:22
    # via orchard
arm==1 ; platform_machine == 'aarch64' --hash=sha256:33
windows==1 ; sys_platform == 'win32' --hash=sha256:44
old==1 ; python_full_version < '3.11' --hash=sha256:55
new==1 ; python_full_version >= '3.11' and platform_python_implementation != 'PyPy' --hash=sha256:66
"""
    both = {"a-b-c": "a-B.c==1.0 --hash=sha256:11 --hash=sha256:22", "new": "new==1 --hash=sha256:66"}
    assert pinned(text, X) == both
    assert pinned(text, ARM) == {**both, "arm": "arm==1 --hash=sha256:33"}


def test_what_cannot_be_had(tmp_path: Path) -> None:
    """OpenVINO's wheels for aarch64 are for glibc 2.35: the reason for a list of its own."""
    with pytest.raises(WheelhouseError) as caught:
        download(f"openvino==2026.4.1 --hash=sha256:{64 * '0'}\n", ARM, tmp_path)
    message = str(caught.value)
    assert message.startswith("pip could not get the wheels for aarch64, Python 3.11 and glibc 2.34:\n")
    assert "openvino==2026.4.1" in message
    assert message.endswith("the package has no wheel for such a node: pin another.")


def test_another_hash_than_the_lists(tmp_path: Path) -> None:
    with pytest.raises(WheelhouseError, match="THESE PACKAGES DO NOT MATCH THE HASHES"):
        download(f"six==1.17.0 --hash=sha256:{64 * '0'}\n", X, tmp_path)


LIBRARIES = {b"GLIBC": (2, 34), b"GLIBCXX": (3, 4, 29), b"CXXABI": (1, 3, 13)}  # of Amazon Linux 2023, with its GCC 11


@pytest.mark.parametrize("architecture", [X, ARM])
def test_the_wheels_need_no_newer_libraries_than_a_node_has(wheelhouse: Path, architecture: str) -> None:
    """A tag says glibc alone, and is what somebody wrote: the libraries say which versions they ask for."""
    asked = {}
    with tarfile.open(wheelhouse / f"wheels-{architecture}.tar") as archive:
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None
            with zipfile.ZipFile(io.BytesIO(content.read())) as wheel:
                for name in wheel.namelist():
                    if ".so" in Path(name).name:
                        asked[f"{member.name}: {name}"] = wheel.read(name)
    assert len(asked) > 300
    # A wheel that brings libstdc++ along defines its versions in it.
    wants = {name: newest(library) for name, library in asked.items() if "libstdc++" not in name}
    for kind, there in LIBRARIES.items():
        assert not {name: want for name, want in wants.items() if want.get(kind, (0,)) > there}


def newest(library: bytes) -> dict[bytes, tuple[int, ...]]:
    """Return the newest version of each library that stands among a library's strings."""
    found: dict[bytes, tuple[int, ...]] = {}
    for kind, version in re.findall(rb"\0(GLIBC|GLIBCXX|CXXABI)_(\d+(?:\.\d+)+)(?=\0)", library):
        number = tuple(map(int, version.split(b".")))
        found[kind] = max(found.get(kind, (0,)), number)
    return found


def test_tags_are_python_311s() -> None:
    assert {tag.interpreter for tag in tags(X) if tag.abi == "cp311"} == {"cp311"}
