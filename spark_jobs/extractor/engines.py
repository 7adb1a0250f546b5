"""Extractors on the workers: the engines that run an artefact, checked before they are handed out.

`open_engine` hands out no engine that gives the artefact's test image another embedding than it must: nodes with
another CPU, decoder or library can never put two kinds of embeddings under one ``extractor_id``.

Nothing here imports tensorflow, unless the engine of that name is asked for.
"""

import contextlib
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spark_jobs.extractor import own_keras, photos
from spark_jobs.extractor.artefact import Extractor, ExtractorError, FloatArray

__all__ = ["BATCH", "ENGINES", "Engine", "Extractor", "ExtractorError", "Views", "decode", "open_engine"]

Pixels = NDArray[np.uint8]
Views = Pixels | tuple[Pixels, ...]  # a photo as an extractor takes it: see `decode`

BATCH = 8
"""Photos to give an engine at once: enough that calls cost nothing, few enough that decoding and embedding overlap."""


class Engine(Protocol):
    """A model that is ready to work."""

    name: str  # what it is and where it runs, in words

    def embed(self, photos: Sequence[Views] | Pixels) -> FloatArray:
        """Embed photos as `decode` gives them.

        Parameters
        ----------
        photos : sequence of length n of Views
            RGB, 0 to 255; the preprocessing is the engine's. Of an extractor with one view also an ndarray of shape
            (n, height, width, 3).

        Returns
        -------
        ndarray of shape (n, dimension), float32
        """
        ...


class OpenVINOEngine:
    """The artefact's OpenVINO model on the CPU."""

    def __init__(self, extractor: Extractor, threads: int = 1) -> None:
        core = self.library().Core()
        model = self.embedding_alone(core.read_model(extractor.model_xml, extractor.model_bin))
        # One photo at a time: as fast as any batch on one thread (the activations stay in the cache), a third of the
        # first inference's time, and no embedding depends on which photos it happens to share a batch with.
        inputs = zip(model.inputs, extractor.views, strict=True)
        model.reshape({port: [1, height, width, 3] for port, (width, height) in inputs})
        compiled = core.compile_model(model, "CPU", self.settings(threads))
        self._request = compiled.create_infer_request()
        self._dimension = extractor.dimension
        precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.name = f"openvino ({precision} on {core.get_property('CPU', 'FULL_DEVICE_NAME')})"

    @staticmethod
    def library() -> Any:
        """Import openvino, its telemetry off, and nothing of the user's environment in it."""
        own_keras.forget_environment()
        # The package reports its import, and every conversion, to Google Analytics unless a file in the user's home
        # says no (openvino/tools/ovc/__init__.py); NNCF does, too. Where this module is missing, they take a stub.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        import openvino

        return openvino

    @classmethod
    def embedding_alone(cls, model: Any) -> Any:
        """Cut the maps off, which stand behind the embedding since artefacts have them: nobody here computes them."""
        return cls.library().Model(model.get_results()[:1], model.get_parameters())

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

    def embed(self, photos: Sequence[Views] | Pixels) -> FloatArray:
        embeddings = np.empty((len(photos), self._dimension), np.float32)
        for photo, embedding in zip(photos, embeddings, strict=True):
            views = enumerate(photo if isinstance(photo, tuple) else (photo,))
            embedding[:] = self._request.infer({i: view[np.newaxis] for i, view in views})[0][0]
        return embeddings


class TensorFlowEngine:
    """The Keras model itself, for nodes with a GPU."""

    def __init__(self, extractor: Extractor, threads: int = 1) -> None:
        if extractor.model_keras is None:
            raise ExtractorError(
                f"{extractor.extractor_id} is quantised and runs on the engine openvino only; "
                "for the engine tensorflow export the extractor with --precision f32"
            )
        keras = own_keras.load()
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
        model = keras.Model(model.inputs, model.outputs[0])  # without its maps
        views = [tf.TensorSpec((None, height, width, 3), tf.uint8) for width, height in extractor.views]
        self._run = tf.function(
            lambda *views: model([tf.cast(view, tf.float32) for view in views], training=False), input_signature=views
        )
        self._views = len(views)
        devices = tf.config.list_physical_devices("GPU") or tf.config.list_physical_devices("CPU")
        self.name = f"tensorflow {tf.__version__} ({len(devices)} {devices[0].device_type})"

    def embed(self, photos: Sequence[Views] | Pixels) -> FloatArray:
        views = [np.asarray(photos)] if self._views == 1 else [np.stack(view) for view in zip(*photos, strict=True)]
        return np.asarray(self._run(*views), dtype=np.float32)


ENGINES: Mapping[str, Callable[[Extractor, int], Engine]] = {
    "openvino": OpenVINOEngine,
    "tensorflow": TensorFlowEngine,
}


def decode(data: bytes, extractor: Extractor) -> Views:
    """Decode a photo as an extractor takes it; `photos.decode_views` says what can go wrong.

    Returns
    -------
    ndarray of shape (height, width, 3), uint8, or tuple of them
        Of an extractor with several views one ndarray for each.
    """
    views = photos.decode_views(data, extractor.views, extractor.spec.crop)
    return views if len(views) > 1 else views[0]


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
    if extractor.spec.photo_recipe != photos.RECIPE:
        raise ExtractorError(
            f"{extractor.extractor_id} was exported for photos decoded by {dict(extractor.spec.photo_recipe)}, "
            f"but this code decodes them by {photos.RECIPE}: export it again, or run the code that it was exported with"
        )
    opened = ENGINES[engine](extractor, threads)
    _check(extractor, opened)
    return opened


_REMEDY = {
    "f32": "Install those versions on the nodes, or export the extractor again with the nodes' versions",
    "int8": "Exported on a CPU with VNNI (Intel since Cascade Lake, AMD since Zen 4), it needs nodes with VNNI: take "
    "those, install those versions on them, or export the extractor with --precision f32",
}


def _check(extractor: Extractor, engine: Engine) -> None:
    try:
        pixels = decode(extractor.test_image, extractor)
    except photos.PhotoError as error:
        raise ExtractorError(f"The test image of {extractor.extractor_id} cannot be decoded here: {error}") from error
    got = engine.embed([pixels])[0].astype(np.float64)
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
        f"{_REMEDY[extractor.precision]}"
    )


def _versions(names: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
