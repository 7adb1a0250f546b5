"""Artefacts for tests, exported in processes of their own, so that tensorflow stays out of the tests'."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"
# Has tensorflow and the emulator of AWS, which the environments of other versions lack (Makefile).
MAIN_PYTHON = os.environ.get("ORCHARD_MAIN_PYTHON", sys.executable)
REAL_WEIGHTS = SHARED / "weights" / "mobilenet_v2_1.0_224_imagenet_ptq_no_top.h5"


def run_export(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run ``python -m spark_jobs.export_extractor`` as a user does."""
    return subprocess.run(
        [MAIN_PYTHON, "-m", "spark_jobs.export_extractor", *map(str, arguments)],
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
