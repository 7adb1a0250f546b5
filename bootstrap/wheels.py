"""Wheels: which of them a node can install, and how to get them; nothing is built from source.

A node is an Amazon Linux 2023 with the release's Python 3.11: glibc 2.34, on both architectures
(https://docs.aws.amazon.com/linux/al2023/ug/libc.html). This machine may have another Python, glibc and CPU, so
markers and tags are evaluated for the node, not here.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

ARCHITECTURES = ("x86_64", "aarch64")  # as uname -m says
GLIBC = (2, 34)
PYTHON = (3, 11)
_OLDEST = {"x86_64": 5, "aarch64": 17}  # minor versions of glibc, from which there are manylinux wheels at all
# The names from before they held the version (PEP 513, 571, 599).
_OLD_NAMES = {"x86_64": ("manylinux2014", "manylinux2010", "manylinux1"), "aarch64": ("manylinux2014",)}


class WheelhouseError(RuntimeError):
    """What a node would install cannot be had, or is not what it should be."""


def platforms(architecture: str) -> list[str]:
    """Return the platforms of a node, as wheels name them, the newest first."""
    new = [f"manylinux_2_{minor}" for minor in range(GLIBC[1], _OLDEST[architecture] - 1, -1)]
    return [f"{name}_{architecture}" for name in (*new, *_OLD_NAMES[architecture])]


def tags(architecture: str) -> frozenset[Tag]:
    """Return the tags of the wheels that a node can install."""
    interpreter, names = f"cp{PYTHON[0]}{PYTHON[1]}", platforms(architecture)
    return frozenset(
        (*cpython_tags(PYTHON, [interpreter], names), *compatible_tags(PYTHON, interpreter, names)),
    )


def pinned(text: str, architecture: str) -> dict[str, str]:
    """Choose what a node of an architecture installs from a compiled list.

    Returns
    -------
    dict
        For each name, the requirement with its hashes, without its marker: the node's is decided here.
    """
    environment: dict[str, str] = {
        "implementation_name": "cpython",
        "implementation_version": f"{PYTHON[0]}.{PYTHON[1]}.0",
        "os_name": "posix",
        "platform_machine": architecture,
        "platform_release": "",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{PYTHON[0]}.{PYTHON[1]}.0",
        "python_version": f"{PYTHON[0]}.{PYTHON[1]}",
        "sys_platform": "linux",
    }
    found: dict[str, str] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        requirement, *hashes = re.split(r"\s+--hash=", line.strip())
        wanted = Requirement(requirement)
        if wanted.marker is None or wanted.marker.evaluate(environment):
            pin = f"{wanted.name}{wanted.specifier}"
            found[canonicalize_name(wanted.name)] = " ".join((pin, *(f"--hash={one}" for one in hashes)))
    return found


def download(text: str, architecture: str, folder: Path) -> list[Path]:
    """Get the wheels of a compiled list for a node, through the index that pip is configured with.

    Raises
    ------
    WheelhouseError
        One cannot be had: no network, no wheel for the node, or another hash than the list's.
    """
    wanted = pinned(text, architecture)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as list_of_one:
        list_of_one.write("\n".join(wanted.values()))
        list_of_one.flush()
        # --no-deps: the list is complete, and pip would evaluate markers for this machine.
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--require-hashes", "--only-binary=:all:", "--implementation", "cp"),
            *("--python-version", f"{PYTHON[0]}.{PYTHON[1]}"),
            *(part for platform in platforms(architecture) for part in ("--platform", platform)),
            *("--dest", str(folder), "--requirement", list_of_one.name),
        ]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise WheelhouseError(
            f"pip could not get the wheels for {architecture}, Python {PYTHON[0]}.{PYTHON[1]} and glibc "
            f"{GLIBC[0]}.{GLIBC[1]}:\n{done.stderr.strip()[-2000:]}\n"
            "Where it names a version that it does not find, the package has no wheel for such a node: pin another."
        )
    wheels = sorted(folder.glob("*.whl"))
    check(wheels, wanted, architecture)
    return wheels


def check(wheels: list[Path], wanted: dict[str, str], architecture: str) -> None:
    """Check that a node can install each wheel, and that each name that it wants is there once.

    Raises
    ------
    WheelhouseError
    """
    if problems := [*_misfits(wheels, architecture), *_missing(wheels, wanted)]:
        raise WheelhouseError(
            f"Not for a node of {architecture} with glibc {GLIBC[0]}.{GLIBC[1]} (Amazon Linux 2023) and Python "
            f"{PYTHON[0]}.{PYTHON[1]}: {'; '.join(problems)}. Pin versions that have such wheels."
        )


def _misfits(wheels: list[Path], architecture: str) -> Iterator[str]:
    fitting = tags(architecture)
    for wheel in wheels:
        *_, offered = parse_wheel_filename(wheel.name)
        if not offered & fitting:
            yield f"{wheel.name} is for {', '.join(sorted(map(str, offered)))}"


def _missing(wheels: list[Path], wanted: dict[str, str]) -> Iterator[str]:
    names: list[str] = [parse_wheel_filename(wheel.name)[0] for wheel in wheels]
    for name in sorted({*wanted, *names}):
        if (count := names.count(name)) != (name in wanted):
            yield f"{count} wheels of {name}, expected {int(name in wanted)}"
