"""What Keras itself says, in a process of its own: a script for the tests, not a module for anybody.

Reads one JSON job: exports to make, weights to save, pixels to embed with the engine tensorflow, and pixels to embed
with the application of ``keras.applications`` and its own ``preprocess_input``; and maps to make of pixels with our
networks. Writes ``ids.json`` and an ``.npy`` for each of the three.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np

from spark_jobs import export_extractor
from spark_jobs.extractor.architectures import ARCHITECTURES
from spark_jobs.extractor.artefact import Extractor
from spark_jobs.extractor.engines import open_engine
from spark_jobs.extractor.keras_models import network


def embed(name: str, artefact: Path, weights: Path | None, pixels: np.ndarray) -> np.ndarray:
    origin = ARCHITECTURES[name].origin
    application = getattr(keras.applications, origin.module)
    network = getattr(keras.applications, origin.name)(include_top=False, weights=None, input_shape=pixels.shape[1:])
    if weights is not None:
        network.load_weights(weights)
    else:  # random ones: out of the artefact, which holds the network as a layer
        saved = artefact.with_suffix(".keras")
        saved.write_bytes(Extractor.load(artefact).model_keras or b"")
        (inner,) = (layer for layer in keras.saving.load_model(saved).layers if isinstance(layer, keras.Model))
        network.set_weights(inner.get_weights())
    if name == "efficientnet_b0":
        # With weights="imagenet" Keras adds a layer that divides by the square root of ImageNet's standard deviation.
        # Without it, the variances of the layer before can do the same.
        normalization = network.get_layer(index=2)
        mean, variance, count = normalization.get_weights()
        normalization.set_weights([mean, variance * np.array([0.229, 0.224, 0.225]), count])
        normalization.finalize_state()
    chunks = [pixels[start : start + 32].astype(np.float32) for start in range(0, len(pixels), 32)]
    maps = [np.asarray(network(application.preprocess_input(chunk))) for chunk in chunks]
    return np.concatenate(maps).mean(axis=(1, 2))


def main(job: dict, folder: Path) -> None:
    ids = {}
    for key, arguments in job["exports"].items():
        captured = io.StringIO()
        with contextlib.redirect_stdout(captured):
            status = export_extractor.main([*arguments, "--out", str(folder)])
        ids[key] = captured.getvalue().strip() if status == 0 else f"exit code {status}"
        if key in job["save_weights"]:
            saved = folder / f"{ids[key]}.keras"
            saved.write_bytes(Extractor.load(folder / f"{ids[key]}.zip").model_keras or b"")
            (inner,) = (layer for layer in keras.saving.load_model(saved).layers if isinstance(layer, keras.Model))
            inner.save_weights(job["save_weights"][key])
    (folder / "ids.json").write_text(json.dumps(ids))
    for key, wanted in job["tensorflow"].items():
        engine = open_engine(Extractor.load(folder / f"{ids[wanted['export']]}.zip"), "tensorflow")
        views = [np.load(file) for file in wanted["views"]]
        np.save(folder / f"{key}.npy", engine.embed(views[0] if len(views) == 1 else list(zip(*views, strict=True))))
    for key, oracle in job["oracles"].items():
        artefact = folder / f"{ids[oracle['export']]}.zip"
        weights = Path(oracle["weights"]) if oracle["weights"] else None
        pixels = np.load(oracle["pixels"])
        np.save(folder / f"{key}.npy", embed(oracle["architecture"], artefact, weights, pixels))
    for key, wanted in job["maps"].items():
        pixels = np.load(wanted["pixels"]).astype(np.float32)
        size = (pixels.shape[2], pixels.shape[1])
        made = network(ARCHITECTURES[wanted["architecture"]], wanted["weights"], size)
        np.save(folder / f"{key}.npy", np.asarray(made(pixels)))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
