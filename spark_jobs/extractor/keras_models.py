"""Keras models: built with the weights asked for, and converted to OpenVINO's.

Belongs to `spark_jobs.export_extractor`; tensorflow is imported inside, as modules that workers import share types
with this one.
"""

import contextlib
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from spark_jobs.extractor import own_keras
from spark_jobs.extractor.architectures import Architecture
from spark_jobs.extractor.artefact import ExtractorError
from spark_jobs.extractor.engines import OpenVINOEngine


def build(architecture: Architecture, weights: str) -> Any:
    """Build the Keras model: pixels 0 to 255 in, embeddings out.

    Parameters
    ----------
    weights : str
        ``imagenet``, ``random:SEED`` or a file.

    Raises
    ------
    ExtractorError
        If the weights cannot be had, or are not of this architecture.
    """
    seed = weights.removeprefix("random:") if weights.startswith("random:") else None
    if seed is not None and not seed.isdecimal():
        raise ExtractorError(f"Got --weights {weights}; expected random:SEED with a whole number, as in random:0")
    if seed is None and weights != "imagenet" and not Path(weights).is_file():
        raise ExtractorError(f"No such file of weights: {weights}; expected imagenet, random:SEED or a file")
    keras = own_keras.load()
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # too late if tensorflow has already started in this process
        tf.config.set_visible_devices([], "GPU")  # the reference is computed in plain f32
    application = getattr(keras.applications, architecture.keras_module)
    width, height = architecture.input_size
    # Always "imagenet", as some applications build another graph for it (EfficientNet has one more layer); where the
    # weights come from is up to the two functions that Keras loads them with.
    with _keras_weights_from(keras, architecture, weights, load=seed is None):
        network = getattr(application, architecture.keras_class)(
            include_top=False, weights="imagenet", pooling="avg", input_shape=(height, width, 3)
        )
    if seed is not None:
        _randomise(network, int(seed))
    pixels = keras.Input((height, width, 3), dtype="float32", name="pixels")
    return keras.Model(pixels, network(application.preprocess_input(pixels)))


@contextlib.contextmanager
def _keras_weights_from(keras: Any, architecture: Architecture, weights: str, *, load: bool) -> Iterator[None]:
    from keras.src.utils import file_utils

    download, load_weights = file_utils.get_file, keras.Model.load_weights
    timeout = socket.getdefaulttimeout()

    def get_file(name: str, origin: str, **options: Any) -> str:
        if weights != "imagenet":
            return weights
        try:
            return str(download(name, origin, **{**options, "cache_dir": own_keras.downloads()}))
        except Exception as error:  # Keras raises nothing narrower
            raise ExtractorError(
                f"Keras could not fetch the weights {name} from {origin} ({error}). Without a network, download that "
                "file elsewhere and pass it as --weights FILE; to try things out only: --weights random:0"
            ) from error

    def load_file(network: Any, file: str, *args: Any, **options: Any) -> None:
        if not load:
            return
        try:
            load_weights(network, file, *args, **options)
        except (ValueError, OSError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]  # Keras lists all layers
            raise ExtractorError(
                f"The weights in {file} do not fit {architecture.name} ({reason}); expected a Keras file (.h5, .keras) "
                f"of {architecture.keras_class} without its classifier (include_top=False)"
            ) from error

    file_utils.get_file, keras.Model.load_weights = get_file, load_file
    socket.setdefaulttimeout(30)
    try:
        yield
    finally:
        file_utils.get_file, keras.Model.load_weights = download, load_weights
        socket.setdefaulttimeout(timeout)


def _randomise(network: Any, seed: int) -> None:
    # Not Keras' initial values: with all biases 0 and all normalisations idle, every photo gets nearly the same
    # embedding, and nothing can be tested with that.
    rng = np.random.default_rng(seed)
    for weight in network.weights:
        kind, shape = weight.path.rsplit("/", 1)[-1], tuple(weight.shape)
        if kind == "kernel":
            fan_in = np.prod(shape[:2] if shape[-1] == 1 else shape[:-1])  # depthwise kernels end in 1
            weight.assign(rng.standard_normal(shape) * np.sqrt(2 / fan_in))
        elif kind in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, shape))
        elif kind in ("beta", "bias", "moving_mean"):
            weight.assign(rng.standard_normal(shape) * 0.2)


def to_openvino(model: Any, input_size: tuple[int, int]) -> tuple[bytes, bytes]:
    """Give ``model.xml`` and ``model.bin`` of a Keras model; their input is uint8, and any number of photos."""
    import tensorflow as tf

    openvino = OpenVINOEngine.library()
    width, height = input_size
    # Not by way of model.export, which takes ten times as long and leaves the path of a temporary folder in the XML.
    signature = [tf.TensorSpec((None, height, width, 3), tf.float32, name="pixels")]
    function = tf.function(lambda pixels: model(pixels, training=False), input_signature=signature)
    converted = openvino.convert_model(function.get_concrete_function())
    converted.reshape([-1, height, width, 3])
    steps = openvino.preprocess.PrePostProcessor(converted)
    steps.input().tensor().set_element_type(openvino.Type.u8)  # pixels as decoded, a quarter of the bytes to copy
    return serialise(steps.build())


def serialise(model: Any) -> tuple[bytes, bytes]:
    """Give an OpenVINO model's ``model.xml`` and ``model.bin``."""
    with tempfile.TemporaryDirectory() as folder:
        OpenVINOEngine.library().save_model(model, f"{folder}/model.xml", compress_to_fp16=False)
        return Path(f"{folder}/model.xml").read_bytes(), Path(f"{folder}/model.bin").read_bytes()
