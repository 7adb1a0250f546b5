"""Extractors as the workers see them: the artefact, and the engines that run it.

An artefact is one file, written by ``spark_jobs.export_extractor``. It carries a
test image with the embedding that it must give, and `open_engine` hands out no
engine that gives another: nodes with another CPU, decoder or library can never
put two kinds of embeddings under one ``extractor_id``.

Nothing here imports tensorflow, unless the engine of that name is asked for.
"""

import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spark_jobs import photos

FloatArray = NDArray[np.float32]
Pixels = NDArray[np.uint8]

BATCH = 8

"""Photos to give an engine at once: enough that calls cost nothing, few enough that decoding and embedding overlap."""


class ExtractorError(RuntimeError):
    """An artefact that cannot be read, or that computes something else here than where it was exported."""


@dataclass(frozen=True)
class Spec:
    """All that an artefact says about itself; equal specs give equal embeddings."""

    architecture: str
    precision: str  # f32 or int8
    input_size: tuple[int, int]  # width and height in pixels
    dimension: int
    photo_recipe: Mapping[str, Any]  # how bytes become pixels: spark_jobs.photos.RECIPE at export
    preprocessing: str  # the function that turns pixels into the network's input; part of the model's graph
    weights_sha256: str  # of the values in order, not of the file that they came in
    quantised_sha256: str | None  # int8: of the quantised constants, which depend on the photos to calibrate with
    tolerance: float  # the least cosine between the test image's embedding on a worker and at export
    norm_tolerance: float  # the greatest relative difference of their norms
    versions: Mapping[str, str]  # the libraries at export, to compare with when an embedding is wrong

    @property
    def extractor_id(self) -> str:
        """``<architecture>-<precision>-<12 hex>``: the hash of everything that decides the numbers."""
        decisive = {
            name: value
            for name, value in asdict(self).items()
            if name not in ("tolerance", "norm_tolerance", "versions")
        }
        canonical = json.dumps(decisive, sort_keys=True, separators=(",", ":"))
        return f"{self.architecture}-{self.precision}-{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, eq=False)
class Extractor:
    """A loaded artefact: its spec, the model in the form of each engine, and the test."""

    spec: Spec
    model_xml: bytes = field(repr=False)  # OpenVINO IR, preprocessing included
    model_bin: bytes = field(repr=False)
    model_keras: bytes | None = field(repr=False)  # the Keras model, preprocessing included; f32 only
    test_image: bytes = field(repr=False)  # a JPEG
    test_embedding: FloatArray = field(repr=False)  # ndarray of shape (dimension,)

    @property
    def extractor_id(self) -> str:
        return self.spec.extractor_id

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.spec.input_size

    @property
    def dimension(self) -> int:
        return self.spec.dimension

    @property
    def precision(self) -> str:
        return self.spec.precision

    @classmethod
    def from_bytes(cls, data: bytes) -> "Extractor":
        """Read an artefact.

        Raises
        ------
        ExtractorError
            If it is no artefact, or its contents are not what its id says.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = {name: archive.read(name) for name in archive.namelist()}
            said = json.loads(members["extractor.json"])
            said_id = said.pop("extractor_id")
            extractor = cls(
                spec=Spec(**{**said, "input_size": tuple(said["input_size"])}),
                model_xml=members["model.xml"],
                model_bin=members["model.bin"],
                model_keras=members.get("model.keras"),
                test_image=members["test.jpg"],
                test_embedding=np.load(io.BytesIO(members["test_embedding.npy"]), allow_pickle=False),
            )
        except (zipfile.BadZipFile, KeyError, TypeError, ValueError, EOFError) as error:
            raise ExtractorError(
                f"Not an extractor's artefact, or a damaged one ({type(error).__name__}: {error}); "
                "expected a file written by `python -m spark_jobs.export_extractor`: export it again"
            ) from error
        if said_id != extractor.extractor_id:
            raise ExtractorError(
                f"The artefact calls itself {said_id}, but its contents make it {extractor.extractor_id}: export it again"
            )
        return extractor

    def to_bytes(self) -> bytes:
        """Write the artefact; the same extractor gives the same bytes."""
        embedding = io.BytesIO()
        np.save(embedding, self.test_embedding, allow_pickle=False)
        members = {
            "extractor.json": json.dumps({"extractor_id": self.extractor_id, **asdict(self.spec)}, indent=2).encode(),
            "model.xml": self.model_xml,
            "model.bin": self.model_bin,
            **({"model.keras": self.model_keras} if self.model_keras is not None else {}),
            "test.jpg": self.test_image,
            "test_embedding.npy": embedding.getvalue(),
        }
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name), content)  # without a date: 1980-01-01
        return target.getvalue()

    @classmethod
    def load(cls, path: str | Path) -> "Extractor":
        """Read a local artefact: the file itself, or the folder that holds it and no other."""
        path = Path(path)
        found = sorted(path.glob("*.zip")) if path.is_dir() else [path]
        if len(found) != 1:
            names = "".join(f"\n  {name}" for name in found)
            raise ExtractorError(
                f"Expected exactly one artefact (*.zip) in {path}, got {len(found)}{names or ' of them'}"
            )
        if not found[0].is_file():
            raise ExtractorError(f"No such artefact: {path}; `python -m spark_jobs.export_extractor` makes one")
        return cls.from_bytes(found[0].read_bytes())


class Engine(Protocol):
    """A model that is ready to work."""

    name: str  # what it is and where it runs, in words

    def embed(self, pixels: Pixels) -> FloatArray:
        """Embed photos as `photos.decode` gives them.

        Parameters
        ----------
        pixels : ndarray of shape (n, height, width, 3), uint8
            RGB, 0 to 255; the preprocessing is the engine's.

        Returns
        -------
        ndarray of shape (n, dimension), float32
        """
        ...


class OpenVINOEngine:
    """The artefact's OpenVINO model on the CPU."""

    def __init__(self, extractor: Extractor, threads: int = 1) -> None:
        core = self.library().Core()
        model = core.read_model(extractor.model_xml, extractor.model_bin)
        # One photo at a time: as fast as any batch on one thread (the activations stay in the cache), a third of the
        # first inference's time, and no embedding depends on which photos it happens to share a batch with.
        width, height = extractor.input_size
        model.reshape([1, height, width, 3])
        compiled = core.compile_model(model, "CPU", self.settings(threads))
        self._request = compiled.create_infer_request()
        precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.name = f"openvino ({precision} on {core.get_property('CPU', 'FULL_DEVICE_NAME')})"

    @staticmethod
    def library() -> Any:
        """Import openvino, its telemetry off."""
        # The package reports its import, and every conversion, to Google Analytics unless a file in the user's home
        # says no (openvino/tools/ovc/__init__.py); NNCF does, too. Where this module is missing, they take a stub.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        import openvino

        return openvino

    @staticmethod
    def settings(threads: int) -> dict[str, Any]:
        return {
            # The default is what the CPU is fastest with: bf16 where it can, cosine 0.97 to the right embedding.
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            # Each Python worker would pin to the same first core of the node.
            "ENABLE_CPU_PINNING": False,
        }

    def embed(self, pixels: Pixels) -> FloatArray:
        embeddings = [self._request.infer({0: photo[np.newaxis]})[0][0].copy() for photo in pixels]
        return np.stack(embeddings)


class TensorFlowEngine:
    """The Keras model itself, for nodes with a GPU."""

    def __init__(self, extractor: Extractor, threads: int = 1) -> None:
        if extractor.model_keras is None:
            raise ExtractorError(
                f"{extractor.extractor_id} is quantised and runs on the engine openvino only; "
                "for the engine tensorflow export the extractor with --precision f32"
            )
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        os.environ["KERAS_BACKEND"] = "tensorflow"  # a keras.json in the user's home may say otherwise
        import keras
        import tensorflow as tf

        # GPUs since Ampere round the inputs of a convolution to 10 bits otherwise.
        tf.config.experimental.enable_tensor_float_32_execution(False)
        # A RuntimeError says that tensorflow has already started in this process: then its settings stay as they are.
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
            for gpu in tf.config.list_physical_devices("GPU"):
                # The first Python worker would take all of the GPU's memory otherwise.
                tf.config.experimental.set_memory_growth(gpu, True)
        with tempfile.NamedTemporaryFile(suffix=".keras") as file:
            file.write(extractor.model_keras)
            file.flush()
            model = keras.saving.load_model(file.name, compile=False)
        width, height = extractor.input_size
        self._run = tf.function(
            lambda pixels: model(tf.cast(pixels, tf.float32), training=False),
            input_signature=[tf.TensorSpec((None, height, width, 3), tf.uint8)],
        )
        devices = tf.config.list_physical_devices("GPU") or tf.config.list_physical_devices("CPU")
        self.name = f"tensorflow {tf.__version__} ({len(devices)} {devices[0].device_type})"

    def embed(self, pixels: Pixels) -> FloatArray:
        return np.asarray(self._run(pixels), dtype=np.float32)


ENGINES: Mapping[str, Callable[[Extractor, int], Engine]] = {
    "openvino": OpenVINOEngine,
    "tensorflow": TensorFlowEngine,
}


def open_engine(extractor: Extractor, engine: str = "openvino", threads: int = 1) -> Engine:
    """Make an extractor ready to work on this node, and check that it computes what it should.

    Takes some tenths of a second: do it once a Python worker.

    Raises
    ------
    ExtractorError
        If the engine is unknown or cannot run this extractor, or if the test image's embedding is not the expected one.
    """
    if engine not in ENGINES:
        raise ExtractorError(f"Unknown engine {engine!r}; expected one of: {', '.join(ENGINES)}")
    if photos.RECIPE != extractor.spec.photo_recipe:
        raise ExtractorError(
            f"{extractor.extractor_id} was exported for photos decoded by {dict(extractor.spec.photo_recipe)}, "
            f"but this code decodes them by {photos.RECIPE}: export it again, or run the code that it was exported with"
        )
    opened = ENGINES[engine](extractor, threads)
    _check(extractor, opened)
    return opened


def _check(extractor: Extractor, engine: Engine) -> None:
    pixels = photos.decode(extractor.test_image, extractor.input_size)
    got = engine.embed(pixels[np.newaxis])[0].astype(np.float64)
    expected = extractor.test_embedding.astype(np.float64)
    if got.shape != expected.shape:
        raise ExtractorError(
            f"{extractor.extractor_id} gives {got.shape} numbers on {engine.name}, not {expected.shape}"
        )
    norm, expected_norm = np.linalg.norm(got), np.linalg.norm(expected)
    cosine, stretch = got @ expected / (norm * expected_norm), norm / expected_norm - 1
    if cosine >= extractor.spec.tolerance and abs(stretch) <= extractor.spec.norm_tolerance:  # NaN fails, too
        return
    raise ExtractorError(
        f"{extractor.extractor_id} gives a wrong embedding of its test image on {engine.name}: "
        f"cosine {cosine:.6f}, expected at least {extractor.spec.tolerance}; norm {stretch:+.2%}, expected at most "
        f"{extractor.spec.norm_tolerance:.2%} off. Installed here: {_versions(extractor.spec.versions)}; "
        f"where it was exported: {dict(extractor.spec.versions)}. "
        "Install those versions on the nodes, or export the extractor again with the nodes' versions"
    )


def _versions(names: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
