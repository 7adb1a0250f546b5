"""The two planes: what decides never imports what computes, and the other way round."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
CONTROL = ("dags", "plugins")
DATA = ("spark_jobs",)


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (REPOSITORY / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            found |= {str(arg.value).partition(".")[0] for arg in node.args if isinstance(arg, ast.Constant)}
    return found


def modules(folder: str) -> list[str]:
    top = REPOSITORY / folder
    names = (path.relative_to(top.parent).with_suffix("") for path in sorted(top.rglob("*.py")))
    return [".".join(name.parts) for name in names if name.name not in ("__init__", "__main__")]


def loaded_by(names: list[str], home: Path) -> set[str]:
    """Import modules in a process of their own; return the top-level packages that it has then."""
    code = (
        "import importlib, json, sys\n"
        "for name in json.loads(sys.argv[1]): importlib.import_module(name)\n"
        "print('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(names)],
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


@pytest.mark.parametrize("path", files(*CONTROL), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_what_decides_does_not_import_what_computes(path: Path) -> None:
    assert not imported(path) & {"tensorflow", "keras", "pyspark", "openvino", "nncf"}


@pytest.mark.parametrize("path", files(*DATA), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_what_computes_does_not_import_airflow(path: Path) -> None:
    assert "airflow" not in imported(path)


def test_nor_does_anything_that_the_control_plane_imports(tmp_path: Path) -> None:
    names = modules("plugins/orchard")
    assert "orchard.photos.discovery" in names
    assert not loaded_by(names, tmp_path) & {"tensorflow", "keras", "pyspark", "openvino", "nncf"}


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
        "import a.b\nfrom c.d import e\nfrom . import f\n"
        "def g():\n    import h, i as j\n    importlib.import_module('k.l')\n"
    )
    assert imported(path) == {"a", "c", "h", "i", "k"}
    assert "xml" in loaded_by(["xml.dom.minidom"], tmp_path)
