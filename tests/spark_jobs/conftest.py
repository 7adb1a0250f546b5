"""Artefacts, exported once a session; in processes of their own, so that tensorflow stays out of the tests'."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from spark_jobs.extractor import photos
from tests.artefacts import MAIN_PYTHON, REAL_WEIGHTS, REPOSITORY, SHARED, code, run_export
from tests.kept import kept


@pytest.fixture(scope="session", name="run_export")
def run_export_fixture() -> "Callable[..., subprocess.CompletedProcess[str]]":
    return run_export


@dataclass(frozen=True)
class Exported:
    """What one process with tensorflow exported, and what Keras says to the same pixels."""

    folder: Path
    ids: dict[str, str]
    log: str

    def artefact(self, key: str) -> Path:
        return self.folder / f"{self.ids[key]}.zip"

    def keras(self, key: str) -> NDArray[np.float32]:
        return np.load(self.folder / f"{key}.npy")


@pytest.fixture(scope="session")
def rendered() -> NDArray[np.uint8]:
    """Eight smooth pictures of 224 x 224 that differ in colour and form."""
    rng = np.random.default_rng(7)
    coarse = rng.integers(0, 256, (8, 5, 5, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).resize((224, 224), Image.Resampling.BICUBIC)) for one in coarse])


@pytest.fixture(scope="session")
def real_photos() -> list[Path]:
    """All shop photos and all originals, and some of each class of Fruits-360; none without ../shared."""
    some = [path for path in sorted(SHARED.glob("data/fruits-360/Test/*/*.jpg"))][::6]
    return some + sorted(SHARED.glob("data/grocery/*/*.jpg")) + sorted(SHARED.glob("data/original-size/*/*.jpg"))


def without_network(keras_home: Path) -> dict[str, str]:
    """Give an environment in which Keras has downloaded nothing yet, and never will: nobody listens at the proxy."""
    proxies = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    kept = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    return {**kept, **proxies, "KERAS_HOME": str(keras_home), "PYTHONPATH": str(REPOSITORY)}


@pytest.fixture(scope="session")
def exported(rendered: NDArray[np.uint8], real_photos: list[Path]) -> Exported:
    """All that the tests want of Keras, in one process, and kept: tensorflow takes ten seconds to import."""
    oracle = Path(__file__).with_name("keras_oracle.py")
    weights = [REAL_WEIGHTS, *real_photos] if REAL_WEIGHTS.is_file() else []
    made_of = [Path(__file__), oracle, *code(), rendered.tobytes(), *weights]
    folder = kept("keras", made_of, lambda folder: _ask_keras(oracle, folder, rendered, real_photos))
    return Exported(folder, json.loads((folder / "ids.json").read_text()), (folder / "log").read_text())


def _ask_keras(oracle: Path, folder: Path, rendered: NDArray[np.uint8], real_photos: list[Path]) -> None:
    np.save(folder / "rendered.npy", rendered)
    for number, pixels in enumerate(np.repeat(rendered, 3, axis=0)):
        photo = folder / "photos" / f"label-{number % 2}" / f"{number}.png"
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(pixels, 11 * number, axis=0)).save(photo)
    (folder / "photos" / "notes.txt").write_text("not a photo")
    saved = {"efficientnet_b0": str(folder / "saved.weights.h5")}
    int8 = ["--precision", "int8", "--calibrate"]
    job = {
        "exports": {
            "mobilenet_v2": ["mobilenet_v2", "--weights", "random:0"],
            "other weights": ["mobilenet_v2", "--weights", "random:1"],
            "resnet50": ["resnet50", "--weights", "random:0"],
            "efficientnet_b0": ["efficientnet_b0", "--weights", "random:0"],
            "same weights, from a file": ["efficientnet_b0", "--weights", saved["efficientnet_b0"]],
            "misfit": ["resnet50", "--weights", saved["efficientnet_b0"]],
            "no network": ["mobilenet_v2"],
            "int8": ["mobilenet_v2", "--weights", "random:0", *int8, str(folder / "photos")],
        },
        "save_weights": saved,
        "tensorflow": {"by tensorflow": {"export": "mobilenet_v2", "pixels": str(folder / "rendered.npy")}},
        "oracles": {
            name: {"export": name, "architecture": name, "weights": None, "pixels": str(folder / "rendered.npy")}
            for name in ("mobilenet_v2", "resnet50", "efficientnet_b0")
        },
    }
    if REAL_WEIGHTS.is_file():
        np.save(folder / "real.npy", np.stack([photos.decode(path.read_bytes(), (224, 224)) for path in real_photos]))
        job["exports"]["real"] = ["mobilenet_v2", "--weights", str(REAL_WEIGHTS)]
        job["oracles"]["real"] = {
            "export": "real",
            "architecture": "mobilenet_v2",
            "weights": str(REAL_WEIGHTS),
            "pixels": str(folder / "real.npy"),
        }
    (folder / "job.json").write_text(json.dumps(job))
    done = subprocess.run(
        [MAIN_PYTHON, oracle, folder / "job.json", folder],
        cwd=REPOSITORY,
        env=without_network(folder / "keras"),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    (folder / "log").write_text(done.stderr)
