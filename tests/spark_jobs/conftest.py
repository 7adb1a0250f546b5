"""Artefacts, exported once a session; in processes of their own, so that tensorflow stays out of the tests'."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared"
REAL_WEIGHTS = SHARED / "weights" / "mobilenet_v2_1.0_224_imagenet_ptq_no_top.h5"


def run_export(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run ``python -m spark_jobs.export_extractor`` as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "spark_jobs.export_extractor", *map(str, arguments)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def export(*arguments: str | Path, out: Path) -> Path:
    done = run_export(*arguments, "--out", out)
    assert done.returncode == 0, done.stderr
    artefact = out / f"{done.stdout.removesuffix(chr(10))}.zip"  # the id is all that stands on stdout
    assert artefact.is_file(), done.stdout + done.stderr
    return artefact


@pytest.fixture(scope="session", name="run_export")
def run_export_fixture() -> "Callable[..., subprocess.CompletedProcess[str]]":
    return run_export


@pytest.fixture(scope="session")
def random_artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mobilenet_v2 in f32 with random weights: there without any download, and no good for recognition."""
    return export("mobilenet_v2", "--weights", "random:0", out=tmp_path_factory.mktemp("random"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the folder of real weights and photos beside the repository."""
    if not REAL_WEIGHTS.is_file():
        pytest.skip(f"needs real weights and photos: no {REAL_WEIGHTS}")
    return SHARED


@pytest.fixture(scope="session")
def real_artefact(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mobilenet_v2 in f32 with Keras' own weights."""
    return export("mobilenet_v2", "--weights", REAL_WEIGHTS, out=tmp_path_factory.mktemp("real"))
