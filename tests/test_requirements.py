"""The pinned lists are those of pyproject.toml, and name no place to get anything from."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from local.jars import COORDINATES, read_lock

REPOSITORY = Path(__file__).resolve().parents[1]
TOML = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
PROJECT = TOML["project"]
EXTRAS = PROJECT["optional-dependencies"]
PARTS = EXTRAS | TOML["dependency-groups"]

LISTS = {  # which extras and groups each list holds
    "requirements.txt": tuple(EXTRAS),
    "requirements-airflow.txt": ("control-plane", "airflow"),
    "requirements-local.txt": ("control-plane", "data-plane", "tensorflow", "local"),
    "databricks/requirements.txt": ("control-plane", "data-plane"),
    "bootstrap/requirements.txt": ("data-plane", "bootstrap"),
    "bootstrap/requirements-aarch64.txt": ("data-plane", "bootstrap"),
    "bootstrap/requirements-tensorflow.txt": ("data-plane", "bootstrap", "gpu"),
    "requirements-airflow31.txt": ("control-plane", "airflow31"),
    "requirements-spark4.txt": ("control-plane", "data-plane", "spark4"),
    "requirements-peers.txt": ("data-plane", "peers"),
}
# Of environments for tests and benchmarks.
OTHER_VERSIONS = {"requirements-airflow31.txt", "requirements-spark4.txt", "requirements-peers.txt"}

# What nodes of aarch64 have in other versions, with why, and nodes with a GPU in another build.
OVERRIDES = REPOSITORY / "bootstrap" / "overrides-aarch64.txt"
GPU = re.compile(r"tensorflow|nvidia-.*")


def own(name: str) -> list[Requirement]:
    """Return what a list takes instead of what pyproject.toml asks for."""
    lines = OVERRIDES.read_text("utf-8").splitlines() if name == "bootstrap/requirements-aarch64.txt" else []
    return [Requirement(line) for line in lines if not line.startswith("#")]


def direct(name: str) -> list[Requirement]:
    """Return what pyproject.toml asks for in a list."""
    wanted = [*PROJECT["dependencies"], *(one for extra in LISTS[name] for one in PARTS[extra])]
    instead = {one.name: one for one in own(name)}
    return [instead.get(one.name, one) for one in map(Requirement, wanted)]


def entries(text: str) -> list[tuple[Requirement, list[str]]]:
    """Return each requirement of a compiled list with its hashes."""
    lines = [
        line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.strip().startswith("#")
    ]
    found = []
    for line in lines:
        requirement, *hashes = re.split(r"\s+--hash=", line.strip())
        found.append((Requirement(requirement), hashes))
    return found


PINNED = {name: (REPOSITORY / name).read_text("utf-8") for name in LISTS}
ENTRIES = {name: entries(text) for name, text in PINNED.items()}


@pytest.mark.parametrize(("name", "wanted"), [(name, wanted) for name in LISTS for wanted in direct(name)], ids=str)
def test_every_direct_dependency_is_pinned_at_a_version_that_it_allows(name: str, wanted: Requirement) -> None:
    pinned = [entry for entry, _ in ENTRIES[name] if canonicalize_name(entry.name) == canonicalize_name(wanted.name)]
    assert pinned, f"{wanted.name} is not in {name}: run make lock"
    for entry in pinned:
        (pin,) = entry.specifier
        assert wanted.specifier.contains(Version(pin.version), prereleases=True), f"{name} is stale: make lock"


@pytest.mark.parametrize("name", LISTS)
def test_every_pin_is_exact_and_has_hashes(name: str) -> None:
    assert len(ENTRIES[name]) > 50
    for entry, hashes in ENTRIES[name]:
        assert [pin.operator for pin in entry.specifier] == ["=="], str(entry)
        assert "*" not in str(entry.specifier)
        assert hashes, str(entry)
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), str(entry)


@pytest.mark.parametrize("name", LISTS)
def test_no_name_is_pinned_twice_for_the_same_machine(name: str) -> None:
    names = [(canonicalize_name(entry.name), str(entry.marker)) for entry, _ in ENTRIES[name]]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", [name for name in LISTS if name not in OTHER_VERSIONS | {"requirements.txt"}])
def test_what_is_tested_is_what_is_shipped(name: str) -> None:
    """The lists for the images hold no version, and no hash, that `make setup` does not install."""
    everything = {(entry.name, str(entry.specifier)): set(hashes) for entry, hashes in ENTRIES["requirements.txt"]}
    others = {one.name for one in own(name)}
    for entry, hashes in ENTRIES[name]:
        if entry.name in others or (name == "bootstrap/requirements-tensorflow.txt" and GPU.fullmatch(entry.name)):
            continue
        key = (entry.name, str(entry.specifier))
        assert everything.get(key) == set(hashes), f"{entry}: {name} is stale: make lock"


def test_each_plane_gets_only_what_it_needs() -> None:
    names = {name: {canonicalize_name(entry.name) for entry, _ in ENTRIES[name]} for name in LISTS}
    assert not names["requirements-airflow.txt"] & {"pyspark", "tensorflow-cpu", "openvino", "ministack", "pytest"}
    assert not names["databricks/requirements.txt"] & {"pyspark", "tensorflow-cpu", "apache-airflow-core", "pytest"}
    assert not names["requirements-local.txt"] & {"apache-airflow", "apache-airflow-core", "pytest"}
    for node in (name for name in LISTS if name.startswith("bootstrap/")):
        assert not names[node] & {"pyspark", "tensorflow-cpu", "duckdb", "apache-airflow-core", "ministack", "pytest"}
        assert ("tensorflow" in names[node]) == (node == "bootstrap/requirements-tensorflow.txt")


def test_nodes_install_with_the_uv_of_the_makefile() -> None:
    (version,) = re.findall(r"^UV_VERSION := (\S+)$", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE)
    (uv,) = [entry for entry, _ in ENTRIES["bootstrap/requirements.txt"] if entry.name == "uv"]
    assert str(uv.specifier) == f"=={version}"


@pytest.mark.parametrize("name", LISTS)
def test_no_addresses(name: str) -> None:
    """Where packages come from is the user's business, and may be a mirror with a password."""
    text = PINNED[name]
    assert not re.search(r"https?:|ftp:|git\+|file:|://|@", text)
    assert not re.search(r"^\s*(-i|-f|-r|-c|-e|--(?!hash=))", text, re.MULTILINE)
    known_suffixes = re.sub(r"#.*|--hash=\S+", "", text)
    assert not re.search(r"\b[\w-]+\.(com|org|net|io|dev|internal|local)\b", known_suffixes)
    comments = set(re.findall(r"^#.*$", text, re.MULTILINE))
    assert comments == {"# This file was autogenerated by uv via the following command:", "#    make lock"}


LOCKS = {"jars.lock": "requirements.txt", "jars-spark4.lock": "requirements-spark4.txt"}


@pytest.mark.parametrize("name", LOCKS)
def test_the_jars_are_locked_line_by_line(name: str) -> None:
    lines = (REPOSITORY / name).read_text("utf-8").splitlines()
    assert lines
    assert all(COORDINATES.fullmatch(line) for line in lines)
    jars = read_lock(REPOSITORY / name)
    assert len(jars) == len(lines)
    for jar, (coordinates, checksum) in jars.items():
        group, artifact, version = coordinates.split(":")
        assert jar == f"{artifact}-{version}.jar"
        assert re.fullmatch(r"[a-z]+(\.[a-z]+)+", group)
        assert re.fullmatch(r"[0-9a-f]{64}", checksum)


@pytest.mark.parametrize(("name", "requirements"), LOCKS.items())
def test_the_jars_fit_the_pinned_spark(name: str, requirements: str) -> None:
    spark = next(entry for entry, _ in ENTRIES[requirements] if entry.name == "pyspark")
    minor = ".".join(str(spark.specifier).removeprefix("==").split(".")[:2])
    jars = read_lock(REPOSITORY / name)
    runtimes = [jar for jar in jars if jar.startswith("iceberg-spark-runtime-")]
    assert len(runtimes) == 1
    assert runtimes[0].startswith(f"iceberg-spark-runtime-{minor}_")
    versions = {jar.rpartition("-")[2] for jar in jars if jar.startswith("iceberg-")}
    assert len(versions) == 1


def test_the_other_spark_comes_with_nothing_else_that_is_other() -> None:
    """What the tests on it show is Spark's."""
    pinned = {entry.name: str(entry.specifier) for entry, _ in ENTRIES["requirements.txt"]}
    others = {
        entry.name for entry, _ in ENTRIES["requirements-spark4.txt"] if pinned[entry.name] != str(entry.specifier)
    }
    assert others == {"pyspark"}


def test_peers_have_our_versions_of_what_we_have() -> None:
    """But of what Daft wants older; decoder, engine and Keras are the same."""
    pinned = {entry.name: str(entry.specifier) for entry, _ in ENTRIES["requirements.txt"]}
    peers = {entry.name: str(entry.specifier) for entry, _ in ENTRIES["requirements-peers.txt"]}
    assert {name for name in peers.keys() & pinned.keys() if peers[name] != pinned[name]} == {"pyarrow", "tqdm"}
    assert {"daft", "ray", "openvino", "pillow", "keras", "tensorflow-cpu"} <= peers.keys()
    assert not {"daft", "ray"} & pinned.keys()


def test_reading_a_lock(tmp_path: Path) -> None:
    lock = tmp_path / "jars.lock"
    lock.write_text(f"# why\n\n{'a' * 64}  org.example:thing_2.12:1.0-beta.1\n  {'b' * 64}\torg.example:other:2\n")
    assert read_lock(lock) == {
        "thing_2.12-1.0-beta.1.jar": ("org.example:thing_2.12:1.0-beta.1", "a" * 64),
        "other-2.jar": ("org.example:other:2", "b" * 64),
    }


@pytest.mark.parametrize(
    "line",
    [
        "org.example:thing:1.0",
        f"{'a' * 63}  org.example:thing:1.0",
        f"{'A' * 64}  org.example:thing:1.0",
        f"{'a' * 64}  org.example:thing",
        f"{'a' * 64}  org.example:thing:1.0 extra",
        f"{'a' * 64}org.example:thing:1.0",
    ],
)
def test_a_line_that_locks_nothing(tmp_path: Path, line: str) -> None:
    lock = tmp_path / "jars.lock"
    lock.write_text(f"{'b' * 64}  org.example:fine:1\n{line}\n")
    with pytest.raises(SystemExit) as caught:
        read_lock(lock)
    assert str(caught.value) == f"{lock}: expected 'sha256  group:artifact:version', got {line!r}"
