"""The house: which room may import which, and what no room of a plane may ever bring in.

A room is a folder of `plugins/orchard` or of `spark_jobs`, or a module that stands beside those folders; other parts of
the repository are one room each. docs/design.md draws them.
"""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
# Where each package that is imported by its name lies.
PACKAGES = {
    "orchard": "plugins/orchard",
    "spark_jobs": "spark_jobs",
    "orchard_job": "databricks/orchard_job",
    "dags": "dags",
    "bootstrap": "bootstrap",
    "infra": "infra",
    "local": "local",
    "benchmarks": "benchmarks",
}

# A room, and all of this repository that it may import. A room stands above what it imports: no arrow goes upwards.
MAY = {
    # Around the planes.
    "benchmarks": "local spark_jobs.run_local spark_jobs.maintain_tables spark_jobs.augment_photos "
    "spark_jobs.export_extractor spark_jobs.extract_embeddings spark_jobs.answers spark_jobs.measuring "
    "spark_jobs.running spark_jobs.tables spark_jobs.augmenting spark_jobs.extractor spark_jobs.exact "
    "orchard.report orchard.photos orchard.lake",
    "local": "infra spark_jobs.augmenting spark_jobs.tables spark_jobs.extractor orchard.commands orchard.photos "
    "orchard.lake orchard.mistakes",
    "infra": "bootstrap spark_jobs.extractor orchard.cluster orchard.prices orchard.aws orchard.plan orchard.settings "
    "orchard.instances orchard.mistakes",
    "orchard_job": "spark_jobs.reduce_embeddings spark_jobs.running spark_jobs.exact orchard.photos orchard.lake",
    "bootstrap": "",
    # The data plane: the commands, and what they are made of. Alone on a machine they ask orchard.lake.
    "spark_jobs.run_local": "spark_jobs.extract_embeddings spark_jobs.reduce_embeddings spark_jobs.running "
    "spark_jobs.tables spark_jobs.extractor orchard.photos orchard.lake",
    "spark_jobs.recognise": "spark_jobs.answers spark_jobs.running spark_jobs.tables spark_jobs.extractor "
    "spark_jobs.exact orchard.lake",
    "spark_jobs.move_lake": "spark_jobs.running spark_jobs.tables orchard.lake",
    "spark_jobs.extract_embeddings": "spark_jobs.running spark_jobs.tables spark_jobs.extractor",
    "spark_jobs.reduce_embeddings": "spark_jobs.exports spark_jobs.running spark_jobs.tables spark_jobs.exact",
    "spark_jobs.maintain_tables": "spark_jobs.running spark_jobs.tables",
    "spark_jobs.export_extractor": "spark_jobs.extractor",
    "spark_jobs.augment_photos": "spark_jobs.augmenting spark_jobs.running spark_jobs.exact orchard.photos",
    "spark_jobs.choose_extractor": "spark_jobs.measuring spark_jobs.running spark_jobs.extractor spark_jobs.exact",
    "spark_jobs.answers": "spark_jobs.tables spark_jobs.augmenting spark_jobs.extractor spark_jobs.exact orchard.lake",
    "spark_jobs.exports": "spark_jobs.running spark_jobs.tables spark_jobs.exact",
    "spark_jobs.measuring": "spark_jobs.extractor spark_jobs.exact",
    "spark_jobs.augmenting": "spark_jobs.running spark_jobs.extractor spark_jobs.exact orchard.photos",
    "spark_jobs.running": "spark_jobs.extractor",
    "spark_jobs.tables": "spark_jobs.exact",
    "spark_jobs.extractor": "",
    "spark_jobs.exact": "",
    # The control plane, from the top floor down.
    "dags": "orchard.dag orchard.form orchard.plan",
    "orchard.commands": "orchard.dag orchard.cluster orchard.prices orchard.aws orchard.photos orchard.lake "
    "orchard.settings orchard.instances orchard.mistakes",
    "orchard.dag": "orchard.cluster orchard.prices orchard.aws orchard.plan orchard.report orchard.photos orchard.lake "
    "orchard.settings orchard.form",
    "orchard.ui": "orchard.cluster orchard.aws orchard.settings",
    "orchard.cluster": "orchard.prices orchard.aws orchard.plan orchard.settings orchard.instances",
    "orchard.prices": "orchard.instances",
    "orchard.aws": "orchard.photos orchard.lake",
    "orchard.plan": "orchard.settings orchard.photos orchard.form",
    "orchard.report": "orchard.photos orchard.lake",
    "orchard.settings": "orchard.photos orchard.instances orchard.mistakes",
    "orchard.photos": "orchard.lake",
    "orchard.lake": "",
    "orchard.form": "",
    "orchard.instances": "",
    "orchard.mistakes": "",
}

COMPUTES = "tensorflow keras pyspark openvino nncf"
DRIVES = "pyspark boto3 botocore obstore pyiceberg duckdb"
# Rooms, what they never import, and why.
NEVER = [
    ("dags orchard", COMPUTES, "the control plane decides; where Airflow runs, nothing of this is installed"),
    ("spark_jobs", "airflow", "the data plane computes; a cluster's node has no Airflow"),
    ("dags", "boto3 pyiceberg duckdb pyarrow", "a DAG is parsed every few seconds: it loads only what draws it"),
    (
        "orchard.lake orchard.photos orchard.report orchard.prices",
        "airflow",
        "run_local, Databricks and notebooks use them",
    ),
    ("spark_jobs.exact", f"{DRIVES} pandas sklearn", "the law of the house, tried on plain arrays"),
    ("spark_jobs.extractor", f"{DRIVES} pyarrow", "from bytes to an embedding, wherever the bytes come from"),
    (
        "spark_jobs.running",
        "tensorflow keras pyiceberg duckdb matplotlib",
        "a worker waits for it before its first photo",
    ),
    ("local.emr", "orchard spark_jobs infra airflow", "an EMR on one machine is a tool of its own"),
    ("bootstrap", "pyspark airflow tensorflow", "it runs before anything is installed"),
]


def names(path: Path) -> Iterator[str]:
    """Yield what a file imports, wherever in it, as dotted names; ruff lets no import be relative."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (str(arg.value) for arg in node.args if isinstance(arg, ast.Constant))


def room(name: str) -> str:
    """Return the room of a module, or of something in it."""
    top, _, rest = name.partition(".")
    return f"{top}.{rest.partition('.')[0]}" if top in ("orchard", "spark_jobs") and rest else top


def files() -> Iterator[tuple[str, Path]]:
    """Yield each module of the repository with its dotted name."""
    for package, folder in PACKAGES.items():
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            yield ".".join((package, *path.relative_to(REPOSITORY / folder).with_suffix("").parts)), path


def modules(package: str) -> list[str]:
    return [name for name, _ in files() if name.startswith(f"{package}.") and not name.endswith("__")]


def loaded_by(modules: list[str], home: Path) -> set[str]:
    """Import modules in a process of their own; return the top-level packages that it has then."""
    code = (
        "import importlib, json, sys\n"
        "for name in json.loads(sys.argv[1]): importlib.import_module(name)\n"
        "print('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(modules)],
        cwd=home,
        env={
            **os.environ,
            "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'plugins'}",
            "AIRFLOW_HOME": str(home),  # Airflow writes its settings where it is imported first
            "MPLCONFIGDIR": str(home),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_no_arrow_goes_upwards() -> None:
    order = list(MAY)
    for name, allowed in MAY.items():
        for other in allowed.split():
            assert order.index(other) > order.index(name), f"{name} -> {other}"


def test_a_room_imports_what_it_may() -> None:
    """What it imports beyond that is a new arrow: either the thing stands in the wrong room, or MAY is to say so."""
    used: dict[str, set[str]] = {name: set() for name in MAY}
    wrong = []
    for module, path in files():
        here = room(module)
        if here.endswith(("__init__", "__main__")):  # say what the package is, and start a command by its name
            continue
        assert here in MAY, f"{here} is a new room: say in MAY what it may import"
        for name in names(path):
            there = room(name)
            if name.partition(".")[0] not in PACKAGES or there in (here, "orchard.__version__"):
                continue
            used[here].add(there)
            if there not in MAY[here].split():
                wrong.append(f"{path.relative_to(REPOSITORY)} imports {name}; {here} may import: {MAY[here] or 'none'}")
    assert wrong == []
    unused = {here: {*allowed.split()} - used[here] for here, allowed in MAY.items()}
    assert {here: rooms for here, rooms in unused.items() if rooms} == {}, "nobody needs that"


@pytest.mark.parametrize(("rooms", "packages", "why"), NEVER, ids=lambda one: one.partition(" ")[0])
def test_what_a_room_never_imports(rooms: str, packages: str, why: str) -> None:
    inside = tuple(f"{one}." for one in rooms.split())
    found = [(module, path) for module, path in files() if module.startswith(inside)]
    assert found
    wrong = {
        f"{module} imports {name}"
        for module, path in found
        for name in names(path)
        if name.partition(".")[0] in packages.split()
    }
    assert not wrong, f"{wrong}: {why}"


def test_nor_does_anything_that_the_control_plane_imports(tmp_path: Path) -> None:
    names = modules("orchard")
    assert "orchard.photos.discovery" in names
    assert not loaded_by(names, tmp_path) & {*COMPUTES.split()}


def test_nor_does_anything_that_the_data_plane_imports(tmp_path: Path) -> None:
    names = modules("spark_jobs")
    assert "spark_jobs.running.worker" in names
    assert "airflow" not in loaded_by(names, tmp_path)


def test_a_worker_starts_with_little(tmp_path: Path) -> None:
    """Each Python worker of Spark imports this before its first photo: every package is waited for."""
    loaded = loaded_by(["spark_jobs.running.worker"], tmp_path)
    assert not loaded & {"tensorflow", "keras", "nncf", "matplotlib", "pyiceberg", "duckdb", "boto3", "botocore"}
    assert {"numpy", "pyarrow", "PIL", "obstore"} <= loaded


def test_the_check_sees_what_it_should(tmp_path: Path) -> None:
    path = tmp_path / "example.py"
    path.write_text(
        "import a.b\nfrom c.d import e\ndef g():\n    import h, i as j\n    importlib.import_module('k.l')\n"
    )
    assert {*names(path)} == {"a.b", "c.d.e", "h", "i", "k.l"}
    assert [room(one) for one in ("orchard.lake.tables.open_catalog", "orchard.aws.client", "local.emr.app")] == [
        "orchard.lake",
        "orchard.aws",
        "local",
    ]
    assert "xml" in loaded_by(["xml.dom.minidom"], tmp_path)
