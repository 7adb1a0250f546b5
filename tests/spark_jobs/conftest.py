"""Artefacts, exported once a session; in processes of their own, so that tensorflow stays out of the tests'."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from spark_jobs.extractor import photos
from spark_jobs.extractor.architectures import ARCHITECTURES, KerasApplication
from spark_jobs.extractor.efficientnet_lite import checkpoint
from tests.artefacts import MAIN_PYTHON, REAL_WEIGHTS, REPOSITORY, SHARED, code, run_export
from tests.kept import kept

_ORACLE = Path(__file__).with_name("keras_oracle.py")
QUICK = ("mobilenet_v2", "resnet50", "efficientnet_b0", "mobilenet_v3_large")  # to build and to run
SMALL = (75, 50)  # width and height, from which "same" padding is not the same on both sides


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
    weights = [REAL_WEIGHTS, *real_photos] if REAL_WEIGHTS.is_file() else []
    made_of = [Path(__file__), _ORACLE, *code(), rendered.tobytes(), *weights]
    return _exported(kept("keras", made_of, lambda folder: _ask_keras(folder, _job(folder, rendered, real_photos))))


@pytest.fixture(scope="session")
def others(rendered: NDArray[np.uint8]) -> Exported:
    """Do the same for the architectures that `exported` has not, under their names, with random weights."""
    made_of = [Path(__file__), _ORACLE, *code(), rendered.tobytes()]
    return _exported(kept("others", made_of, lambda folder: _ask_keras(folder, _job_of_others(folder, rendered))))


def _exported(folder: Path) -> Exported:
    return Exported(folder, json.loads((folder / "ids.json").read_text()), (folder / "log").read_text())


def resized(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.stack([np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BICUBIC)) for one in pixels])


OTHERS = [name for name in ARCHITECTURES if name not in (*QUICK, "efficientnet_lite0")]


def _job_of_others(folder: Path, rendered: NDArray[np.uint8]) -> dict[str, Any]:
    oracles = {}
    for name in OTHERS:
        pixels = folder / f"{name}-pixels.npy"
        np.save(pixels, resized(rendered, ARCHITECTURES[name].input_size))
        if isinstance(ARCHITECTURES[name].origin, KerasApplication):
            oracles[name] = {"export": name, "architecture": name, "weights": None, "pixels": str(pixels)}
    draw_photos(folder, rendered)
    int8 = ["--precision", "int8", "--calibrate", str(folder / "photos")]
    views_in_int8 = {"views in int8": ["mobilenet_v2", "--weights", "random:0", *LOOK, *int8]}
    for side in VIEWS:
        np.save(folder / f"{side}.npy", resized(rendered[:2], (side, side)))
    convnext = {"export": "convnext_tiny", "views": [str(folder / "convnext_tiny-pixels.npy")]}
    return {
        "exports": {name: [name, "--weights", "random:0"] for name in OTHERS} | views_in_int8,
        "save_weights": {},
        "tensorflow": {"convnext_tiny by tensorflow": convnext},  # has layers of its own, which a saved model names
        "oracles": oracles,
        "maps": {},
    }


def draw_photos(folder: Path, rendered: NDArray[np.uint8]) -> None:
    """Draw photos to calibrate with."""
    for number, pixels in enumerate(np.repeat(rendered, 3, axis=0)):
        photo = folder / "photos" / f"label-{number % 2}" / f"{number}.png"
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(pixels, 11 * number, axis=0)).save(photo)
    (folder / "photos" / "notes.txt").write_text("not a photo")


VIEWS = (96, 64)
LOOK = ["--views", ",".join(map(str, VIEWS)), "--mirror", "--feature", "sqrt"]


def _job(folder: Path, rendered: NDArray[np.uint8], real_photos: list[Path]) -> dict[str, Any]:
    np.save(folder / "rendered.npy", rendered)
    draw_photos(folder, rendered)
    saved = {"efficientnet_b0": str(folder / "saved.weights.h5")}
    lite0 = checkpoint(ARCHITECTURES["efficientnet_lite0"].origin)
    int8 = ["--precision", "int8", "--calibrate"]
    np.save(folder / "small.npy", resized(rendered[:2], SMALL))
    job: dict[str, Any] = {
        "exports": {
            "mobilenet_v2": ["mobilenet_v2", "--weights", "random:0"],
            "other weights": ["mobilenet_v2", "--weights", "random:1"],
            "resnet50": ["resnet50", "--weights", "random:0"],
            "efficientnet_b0": ["efficientnet_b0", "--weights", "random:0"],
            "mobilenet_v3_large": ["mobilenet_v3_large", "--weights", "random:0"],
            "efficientnet_lite0": ["efficientnet_lite0"],
            "misfit of PyTorch": ["efficientnet_lite1", "--weights", str(lite0)],
            "no checkpoint": ["efficientnet_lite0", "--weights", str(folder / "rendered.npy")],
            "same weights, from a file": ["efficientnet_b0", "--weights", saved["efficientnet_b0"]],
            "misfit": ["resnet50", "--weights", saved["efficientnet_b0"]],
            "no network": ["mobilenet_v2"],
            "int8": ["mobilenet_v2", "--weights", "random:0", *int8, str(folder / "photos")],
            "views": ["mobilenet_v2", "--weights", "random:0", *LOOK],
            "crop": ["mobilenet_v2", "--weights", "random:0", "--crop", "0.875"],
        },
        "save_weights": saved,
        "tensorflow": {
            "by tensorflow": {"export": "mobilenet_v2", "views": [str(folder / "rendered.npy")]},
            "views by tensorflow": {"export": "views", "views": [str(folder / f"{side}.npy") for side in VIEWS]},
        },
        "oracles": {
            name: {"export": name, "architecture": name, "weights": None, "pixels": str(folder / "rendered.npy")}
            for name in QUICK
        },
        "maps": {
            "map of lite0": {
                "architecture": "efficientnet_lite0",
                "weights": "imagenet",
                "pixels": str(folder / "small.npy"),
            },
            "map of b0": {
                "architecture": "efficientnet_b0",
                "weights": saved["efficientnet_b0"],
                "pixels": str(folder / "small.npy"),
            },
        },
    }
    for side in VIEWS:
        seen = resized(rendered[:2], (side, side))
        for name, pixels in ((str(side), seen), (f"{side} mirrored", seen[:, :, ::-1])):
            np.save(folder / f"{name}.npy", pixels)
            view = {"architecture": "mobilenet_v2", "weights": "random:0", "pixels": str(folder / f"{name}.npy")}
            job["maps"][f"map of {name}"] = view
    job["oracles"]["small b0"] = job["oracles"]["efficientnet_b0"] | {"pixels": str(folder / "small.npy")}
    if REAL_WEIGHTS.is_file():
        np.save(folder / "real.npy", np.stack([photos.decode(path.read_bytes(), (224, 224)) for path in real_photos]))
        job["exports"]["real"] = ["mobilenet_v2", "--weights", str(REAL_WEIGHTS)]
        job["oracles"]["real"] = {
            "export": "real",
            "architecture": "mobilenet_v2",
            "weights": str(REAL_WEIGHTS),
            "pixels": str(folder / "real.npy"),
        }
    return job


def _ask_keras(folder: Path, job: dict[str, Any]) -> None:
    (folder / "job.json").write_text(json.dumps(job))
    done = subprocess.run(
        [MAIN_PYTHON, _ORACLE, folder / "job.json", folder],
        cwd=REPOSITORY,
        env=without_network(folder / "keras"),
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    (folder / "log").write_text(done.stderr)
