"""The CNNs that can be extractors, each one entry in a table.

An entry says where ``keras.applications`` keeps the network; its preprocessing
is the ``preprocess_input`` beside it. Nothing here imports tensorflow: the names
are looked up only where an extractor is exported.
"""

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Architecture:
    """A CNN of ``keras.applications``, without its classifier and average-pooled."""

    name: str  # what users call it, and the first part of every extractor_id
    input_size: tuple[int, int]  # width and height in pixels
    dimension: int  # numbers in an embedding
    keras_module: str  # keras.applications.<keras_module>, where preprocess_input is, too
    keras_class: str  # keras.applications.<keras_module>.<keras_class>


DEFAULT = "mobilenet_v2"

ARCHITECTURES = MappingProxyType(
    {
        architecture.name: architecture
        for architecture in (
            Architecture("mobilenet_v2", (224, 224), 1280, "mobilenet_v2", "MobileNetV2"),
            Architecture("resnet50", (224, 224), 2048, "resnet50", "ResNet50"),
            Architecture("efficientnet_b0", (224, 224), 1280, "efficientnet", "EfficientNetB0"),
        )
    }
)
