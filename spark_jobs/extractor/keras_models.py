"""Keras models: built with the weights asked for, and converted to OpenVINO's.

Belongs to `spark_jobs.export_extractor`; tensorflow is imported inside, as modules that workers import share types
with this one.
"""

import contextlib
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from spark_jobs.extractor import efficientnet_lite, keras_weights, own_keras
from spark_jobs.extractor.architectures import Architecture, EfficientNetLite, KerasApplication, Look
from spark_jobs.extractor.artefact import ExtractorError
from spark_jobs.extractor.engines import OpenVINOEngine

_DEEP = 320  # weights: more than ResNet50 has


def build(architecture: Architecture, weights: str, look: Look | None = None) -> Any:
    """Build the Keras model: pixels 0 to 255 of each view in, embeddings and then the maps they are the means of out.

    There is a map for each view, and where the look has a mirror a second one, of what is seen from left to right,
    turned back: so all maps show the photo as it is.

    Parameters
    ----------
    weights : str
        ``imagenet``, ``random:SEED`` or a file.

    Raises
    ------
    ExtractorError
        If the weights cannot be had, or are not of this architecture.
    """
    look = look or Look()
    networks = [network(architecture, weights, size) for size in look.sizes(architecture)]
    keras = own_keras.load()
    maps, means, inputs = [], [], []
    for number, places in enumerate(networks):
        pixels, sides = places.input, [places.output]
        if number:  # an input that has a name of its own
            pixels = keras.Input(places.input.shape[1:], dtype="float32", name=f"pixels_{number}")
            sides = [places(pixels)]
        if look.mirror:
            sides.append(places(keras.ops.flip(pixels, axis=2)))
        inputs.append(pixels)
        means += [keras.layers.GlobalAveragePooling2D()(side) for side in sides]
        maps += [sides[0], *(keras.ops.flip(side, axis=2) for side in sides[1:])]
    if look.feature == "sqrt":
        means = [keras.ops.sign(mean) * keras.ops.sqrt(keras.ops.absolute(mean)) for mean in means]
    embedding = keras.layers.Average()(means) if len(means) > 1 else means[0]
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], [embedding, *maps])


def network(architecture: Architecture, weights: str, size: tuple[int, int]) -> Any:
    """Build the network before its pooling, at any input size: pixels 0 to 255 in, a map of places out.

    The embedding is the mean of the map for every architecture, so that scores of places add up to those of the photo.
    Hence ConvNeXt's last normalisation is that of each place, as Keras has it without pooling (and not of the mean, as
    with ``pooling="avg"``), and MobileNetV3's layer after the pooling, which belongs to its classifier, is left out.

    Parameters
    ----------
    weights : str
        As for `build`.
    size : tuple of int
        Width and height in pixels.

    Returns
    -------
    keras.Model
        From float32 of shape (n, height, width, 3) to (n, rows, columns, dimension).

    Raises
    ------
    ExtractorError
        As `build`.
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
    width, height = size
    pixels = keras.Input((height, width, 3), dtype="float32", name="pixels")
    origin, prepared = architecture.origin, pixels
    if isinstance(origin, EfficientNetLite):
        inner = efficientnet_lite.network(keras, origin, size)
        if seed is None:
            file = efficientnet_lite.checkpoint(origin) if weights == "imagenet" else Path(weights)
            efficientnet_lite.load(inner, file)
    else:
        inner = _application(keras, architecture, weights, size)
        prepared = getattr(keras.applications, origin.module).preprocess_input(pixels)
    if seed is not None:
        _randomise(inner, int(seed))
    return keras.Model(pixels, inner(prepared))


def _application(keras: Any, architecture: Architecture, weights: str, size: tuple[int, int]) -> Any:
    origin = architecture.origin
    assert isinstance(origin, KerasApplication)
    make = getattr(keras.applications, origin.name)

    def made(size: tuple[int, int], weights: str) -> Any:
        # Always "imagenet", as some applications build another graph for it (EfficientNet has one more layer).
        with keras_weights.loaded_from(keras, architecture, weights), warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*input_shape. is undefined or non-square")  # it says what we do
            return make(include_top=False, weights="imagenet", input_shape=(size[1], size[0], 3))

    if size == architecture.input_size or weights.startswith("random:"):
        return made(size, weights)
    inner = made(architecture.input_size, weights)
    # In two steps, as for some sizes MobileNetV2 would load the weights of another training.
    resized = made(size, "random:0")
    resized.set_weights(inner.get_weights())
    for layer in resized.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # else it computes with what it held before
    return resized


def _randomise(network: Any, seed: int) -> None:
    # Not Keras' initial values: with all biases 0 and all normalisations idle, every photo gets nearly the same
    # embedding, and nothing can be tested with that.
    rng = np.random.default_rng(seed)
    # Sums over more blocks than ResNet50 has grow until rounding decides: in EfficientNetV2B3 a ten-thousandth of a
    # grey level made another embedding. At 0.7 all photos have the same one. Not for smaller networks, whose ids stay.
    gain = 1.0 if len(network.weights) <= _DEEP else 0.8
    for weight in network.weights:
        kind, shape = weight.path.rsplit("/", 1)[-1], tuple(weight.shape)
        if kind == "kernel":
            fan_in = np.prod(shape[:2] if shape[-1] == 1 else shape[:-1])  # depthwise kernels end in 1
            weight.assign(rng.standard_normal(shape) * np.sqrt(2 / fan_in))
        elif kind in ("gamma", "moving_variance") or kind.startswith("variable_"):  # ConvNeXt's scales have no name
            weight.assign(rng.uniform(0.5, 1.5, shape) * (gain if kind == "gamma" else 1))
        elif kind in ("beta", "bias", "moving_mean"):
            weight.assign(rng.standard_normal(shape) * 0.2)


def to_openvino(model: Any, views: tuple[tuple[int, int], ...]) -> tuple[bytes, bytes]:
    """Give ``model.xml`` and ``model.bin`` of a Keras model; their inputs are uint8, and any number of photos."""
    import tensorflow as tf

    openvino = OpenVINOEngine.library()
    # Not by way of model.export, which takes ten times as long and leaves the path of a temporary folder in the XML.
    names = ["pixels", *(f"pixels_{number}" for number in range(1, len(views)))]
    signature = [
        tf.TensorSpec((None, height, width, 3), tf.float32, name=name)
        for name, (width, height) in zip(names, views, strict=True)
    ]
    function = tf.function(
        lambda *pixels: model(list(pixels) if len(pixels) > 1 else pixels[0], training=False), input_signature=signature
    )
    converted = openvino.convert_model(function.get_concrete_function())
    if len(views) > 1:  # in the order of the views, whatever the converter made of it
        parameters = {next(iter(port.get_names())).partition(":")[0]: port.get_node() for port in converted.inputs}
        converted = openvino.Model(converted.get_results(), [parameters[name] for name in names])
    inputs = zip(converted.inputs, views, strict=True)
    converted.reshape({port: [-1, height, width, 3] for port, (width, height) in inputs})
    steps = openvino.preprocess.PrePostProcessor(converted)
    for number in range(len(views)):  # pixels as decoded, a quarter of the bytes to copy
        steps.input(number).tensor().set_element_type(openvino.Type.u8)
    return serialise(steps.build())


def serialise(model: Any) -> tuple[bytes, bytes]:
    """Give an OpenVINO model's ``model.xml`` and ``model.bin``."""
    with tempfile.TemporaryDirectory() as folder:
        OpenVINOEngine.library().save_model(model, f"{folder}/model.xml", compress_to_fp16=False)
        return Path(f"{folder}/model.xml").read_bytes(), Path(f"{folder}/model.bin").read_bytes()
