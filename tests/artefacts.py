"""Artefacts for tests, exported in processes of their own, so that tensorflow stays out of the tests'; and kept."""

import hashlib
import os
import subprocess
import sys
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tests.kept import kept

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"
# Has tensorflow and the emulator of AWS, which the environments of other versions lack (Makefile).
MAIN_PYTHON = os.environ.get("ORCHARD_MAIN_PYTHON", sys.executable)
REAL_WEIGHTS = SHARED / "weights" / "mobilenet_v2_1.0_224_imagenet_ptq_no_top.h5"


# What a user has told Keras and its libraries for other work; no artefact is another for it.
KERAS_JSON = '{"floatx": "float16", "epsilon": 0.01, "backend": "jax", "image_data_format": "channels_first"}'
KERAS_SHELL = {
    "KERAS_BACKEND": "torch",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2",
    "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    "OMP_NUM_THREADS": "1",
}


def run_export(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run ``python -m spark_jobs.export_extractor`` as a user does."""
    with TemporaryDirectory() as home:
        Path(home, "keras.json").write_text(KERAS_JSON)
        return subprocess.run(
            [MAIN_PYTHON, "-m", "spark_jobs.export_extractor", *map(str, arguments)],
            cwd=REPOSITORY,
            env={**os.environ, **KERAS_SHELL, "KERAS_HOME": home},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


def code() -> list[Path]:
    """List the files that an artefact depends on, beside its weights."""
    extractor = sorted((REPOSITORY / "spark_jobs" / "extractor").glob("*.py"))
    return [*extractor, REPOSITORY / "spark_jobs" / "export_extractor.py", REPOSITORY / "requirements.txt"]


def exported(name: str, *arguments: str | Path) -> Path:
    """Export an artefact, unless the same one is kept; files among the arguments count by their content."""

    def make(folder: Path) -> None:
        done = run_export(*arguments, "--out", folder)
        assert done.returncode == 0, done.stderr
        assert [f"{path.stem}\n" for path in folder.glob("*.zip")] == [done.stdout]  # the id is all that it prints

    (artefact,) = kept(name, [*code(), *arguments], make).glob("*.zip")
    return artefact


@cache
def small(folder: Path, crop: float | None = None) -> Path:
    """Write an artefact that every part of the system takes and that costs next to nothing.

    Its embedding is the mean colour of each of 4 x 4 tiles of a photo, 48 numbers; OpenVINO runs it like any other.
    """
    # Here, as the environments of other versions have not all of this.
    import numpy as np

    from local.sample_photos import LABELS, render
    from spark_jobs.extractor.engines import OpenVINOEngine
    from spark_jobs.extractor.photos import decode

    openvino, side, tiles = OpenVINOEngine.library(), 64, 4
    from openvino import opset13 as op

    pixels = op.parameter([-1, side, side, 3], np.uint8)
    channels_first = op.transpose(
        op.divide(op.convert(pixels, "f32"), op.constant(255, np.float32)), np.array([0, 3, 1, 2])
    )
    stride = [side // tiles] * 2
    means = op.avg_pool(channels_first, stride, [0, 0], [0, 0], stride, exclude_pad=True)
    model = openvino.Model([op.reshape(means, np.array([-1, 3 * tiles**2]), special_zero=False)], [pixels], "tiles")
    image = BytesIO()
    render(next(iter(LABELS)), 0, side).save(image, "JPEG", quality=95)
    test = decode(image.getvalue(), (side, side), crop).astype(np.float32) / 255
    expected = test.reshape(tiles, side // tiles, tiles, side // tiles, 3).mean(axis=(1, 3)).transpose(2, 0, 1).ravel()
    return _write(folder, model, side, image.getvalue(), expected, crop)


def colours(folder: Path) -> Path:
    """Write an artefact whose map is the mean colour of each 8 x 8 pixels, and its embedding that of the photo."""
    import numpy as np

    from spark_jobs.export_extractor import render
    from spark_jobs.extractor.engines import OpenVINOEngine
    from spark_jobs.extractor.photos import decode

    openvino, side = OpenVINOEngine.library(), 64
    from openvino import opset13 as op

    pixels = op.parameter([-1, side, side, 3], np.uint8)
    colour = op.divide(op.convert(pixels, "f32"), op.constant(255, np.float32))
    pooled = op.avg_pool(op.transpose(colour, np.array([0, 3, 1, 2])), [8, 8], [0, 0], [0, 0], [8, 8], exclude_pad=True)
    places = op.transpose(pooled, np.array([0, 2, 3, 1]))
    model = openvino.Model([op.reduce_mean(places, np.array([1, 2])), places], [pixels], "colours")
    image = render((side, side))
    expected = (decode(image, (side, side)).astype(np.float32) / 255).mean(axis=(0, 1))
    return _write(folder, model, side, image, expected)


def _write(
    folder: Path, model: Any, side: int, image: bytes, expected: "NDArray[np.float32]", crop: float | None = None
) -> Path:
    """Write an OpenVINO model, named by its architecture, as the artefact that embeds a test image as expected."""
    from spark_jobs.extractor.artefact import Extractor, Spec
    from spark_jobs.extractor.engines import OpenVINOEngine
    from spark_jobs.extractor.photos import RECIPE

    OpenVINOEngine.library().serialize(model, folder / "model.xml", folder / "model.bin")
    files = [(folder / f"model.{suffix}").read_bytes() for suffix in ("xml", "bin")]
    spec = Spec(
        architecture=model.get_friendly_name(),
        precision="f32",
        input_size=(side, side),
        dimension=len(expected),
        photo_recipe=RECIPE,
        preprocessing="none",
        weights_sha256=hashlib.sha256(b"".join(files)).hexdigest(),
        quantised_sha256=None,
        tolerance=0.99999,
        norm_tolerance=0.001,
        versions={},
        crop=crop,
    )
    extractor = Extractor(spec, *files, None, image, expected)
    path = folder / f"{extractor.extractor_id}.zip"
    path.write_bytes(extractor.to_bytes())
    return path
