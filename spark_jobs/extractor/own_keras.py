"""Keras as it is by itself: nothing that a user has configured decides about an artefact's numbers.

Belongs to whoever imports keras or openvino here. Where Keras keeps what it downloads is still the user's to say.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from spark_jobs.extractor.artefact import ExtractorError

# Of TensorFlow, its compiler and its kernels, which OpenVINO uses, too: precision, fusing, the order of additions.
_BEGIN = ("TF_", "XLA_", "ONEDNN_", "DNNL_", "OMP_", "KMP_", "MKL_", "OV_", "NVIDIA_TF32_", "KERAS_")
_STAY = ("TF_CPP_", "TF_FORCE_GPU_", "TF_GPU_", "KERAS_HOME")  # logs, memory of a GPU, downloads


def forget_environment() -> None:
    """Take away the variables that would change numbers; to be called before the libraries are imported."""
    for name in [name for name in os.environ if name.startswith(_BEGIN) and not name.startswith(_STAY)]:
        del os.environ[name]


def downloads() -> str:
    """Return the folder in which Keras keeps what it downloads."""
    home = Path.home() if "HOME" in os.environ else Path("/tmp")
    return os.environ.get("KERAS_HOME", str((home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras"))


def load() -> Any:
    """Import keras, on tensorflow and with its own defaults, whatever ``keras.json`` says.

    Raises
    ------
    ExtractorError
        This process has imported it already, with another backend.
    """
    forget_environment()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    home = os.environ.get("KERAS_HOME")
    with tempfile.TemporaryDirectory() as empty:
        os.environ.update(KERAS_HOME=empty, KERAS_BACKEND="tensorflow")
        import keras

        os.environ.pop("KERAS_HOME")
    if home is not None:
        os.environ["KERAS_HOME"] = home
    if keras.config.backend() != "tensorflow":
        raise ExtractorError(
            f"This process has imported keras with the backend {keras.config.backend()}; expected tensorflow: begin in "
            "a new process"
        )
    # Where it was imported before.
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy("float32")
    return keras
