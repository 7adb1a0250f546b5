"""Export a CNN of ``keras.applications`` as an artefact that the workers run.

A job for a person or a deployment, once an extractor; workers never run it. It
is the only place where tensorflow is needed: the artefact stands alone.

    python -m spark_jobs.export_extractor mobilenet_v2 --out extractors/
"""

import argparse
import contextlib
import hashlib
import io
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from spark_jobs import photos
from spark_jobs.architectures import ARCHITECTURES, DEFAULT, Architecture
from spark_jobs.extractors import Extractor, ExtractorError, FloatArray, OpenVINOEngine, Spec, open_engine

# OpenVINO and Keras differ in the order of their additions only: 1 - 1e-7 measured.
F32_TOLERANCE = 0.99999
F32_NORM_TOLERANCE = 1e-3


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    architecture = ARCHITECTURES[args.architecture]
    try:
        # Keras and NNCF print their progress; stdout is for the id alone.
        with contextlib.redirect_stdout(sys.stderr):
            model = build(architecture, args.weights)
            extractor = export(architecture, model)
            if args.precision == "int8":
                from spark_jobs import quantisation

                calibration, measuring = quantisation.split(args.calibrate, architecture.input_size)
                full, extractor = extractor, quantisation.quantise(extractor, calibration)
                print(quantisation.compare(full, extractor, model, measuring), file=sys.stderr)
            path = _write(extractor, args.out)
    except ExtractorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"Wrote {path} ({path.stat().st_size / 1e6:.1f} MB)", file=sys.stderr)
    print(extractor.extractor_id)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m spark_jobs.export_extractor", description=__doc__)
    parser.add_argument("architecture", nargs="?", default=DEFAULT, choices=list(ARCHITECTURES))
    parser.add_argument(
        "--weights",
        default="imagenet",
        help="imagenet (Keras downloads them), a FILE of weights without the classifier (.h5, .keras), "
        "or random:SEED to try things out (default: %(default)s)",
    )
    parser.add_argument("--precision", choices=["f32", "int8"], default="f32", help="default: %(default)s")
    parser.add_argument(
        "--calibrate", type=Path, metavar="PHOTOS", help="int8 only: a folder of photos of the lake, a folder a label"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write <extractor_id>.zip")
    args = parser.parse_args(argv)
    if args.precision == "int8" and args.calibrate is None:
        parser.error("--precision int8 needs --calibrate PHOTOS: a folder of photos like those to be embedded")
    if args.precision == "f32" and args.calibrate is not None:
        parser.error("--calibrate PHOTOS goes with --precision int8; f32 needs no calibration")
    return args


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
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # a keras.json in the user's home may say otherwise
    import keras
    import tensorflow as tf

    keras.config.set_image_data_format("channels_last")
    with contextlib.suppress(RuntimeError):  # too late if tensorflow has already started in this process
        tf.config.set_visible_devices([], "GPU")  # the reference is computed in plain f32
    application = getattr(keras.applications, architecture.keras_module)
    width, height = architecture.input_size
    seed = weights.removeprefix("random:") if weights.startswith("random:") else None
    if seed is not None and not seed.isdecimal():
        raise ExtractorError(f"Got --weights {weights}; expected random:SEED with a whole number, as in random:0")
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
            return str(download(name, origin, **options))
        except Exception as error:  # Keras raises nothing narrower
            raise ExtractorError(
                f"Keras could not fetch the weights {name} from {origin} ({error}). Without a network, download that "
                "file elsewhere and pass it as --weights FILE; to try things out only: --weights random:0"
            ) from error

    def load_file(network: Any, file: str, *args: Any, **options: Any) -> None:
        if not load:
            return
        if not Path(file).is_file():
            raise ExtractorError(f"No such file of weights: {file}; expected imagenet, random:SEED or a file")
        try:
            load_weights(network, file, *args, **options)
        except (ValueError, OSError, KeyError) as error:
            raise ExtractorError(
                f"The weights in {file} do not fit {architecture.name} ({error}); expected a Keras file (.h5, .keras) "
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
            fan_in = np.prod(shape[:-1]) if "depthwise" not in weight.path else np.prod(shape[:2])
            weight.assign(rng.standard_normal(shape) * np.sqrt(2 / fan_in))
        elif kind in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, shape))
        elif kind in ("beta", "bias", "moving_mean"):
            weight.assign(rng.standard_normal(shape) * 0.2)


def export(architecture: Architecture, model: Any) -> Extractor:
    """Make the f32 artefact of a Keras model that `build` gave.

    Raises
    ------
    ExtractorError
        If OpenVINO's embedding of the test image is not Keras's.
    """
    image = render(architecture.input_size)
    pixels = photos.decode(image, architecture.input_size)
    expected = np.asarray(model(pixels[np.newaxis].astype(np.float32), training=False), dtype=np.float32)[0]
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
        extractor = Extractor(
            spec=Spec(
                architecture=architecture.name,
                precision="f32",
                input_size=architecture.input_size,
                dimension=architecture.dimension,
                photo_recipe=photos.RECIPE,
                preprocessing=f"keras.applications.{architecture.keras_module}.preprocess_input",
                weights_sha256=_hash(model.get_weights()),
                quantised_sha256=None,
                tolerance=F32_TOLERANCE,
                norm_tolerance=F32_NORM_TOLERANCE,
                versions={name: version(name) for name in ("openvino", "keras", "pillow")},
            ),
            **dict(zip(("model_xml", "model_bin"), _to_openvino(model, folder, architecture.input_size), strict=True)),
            model_keras=Path(f"{folder}/model.keras").read_bytes(),
            test_image=image,
            test_embedding=expected,
        )
    open_engine(extractor)
    return extractor


def _hash(weights: list[FloatArray]) -> str:
    digest = hashlib.sha256()
    for values in weights:
        digest.update(f"{values.dtype.str}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _to_openvino(model: Any, folder: str, input_size: tuple[int, int]) -> tuple[bytes, bytes]:
    openvino = OpenVINOEngine.library()
    model.export(f"{folder}/saved_model", verbose=False)
    converted = openvino.convert_model(f"{folder}/saved_model")
    width, height = input_size
    converted.reshape([-1, height, width, 3])
    steps = openvino.preprocess.PrePostProcessor(converted)
    steps.input().tensor().set_element_type(openvino.Type.u8)  # pixels as decoded, a quarter of the bytes to copy
    return serialise(steps.build())


def serialise(model: Any) -> tuple[bytes, bytes]:
    """Give an OpenVINO model's ``model.xml`` and ``model.bin``."""
    with tempfile.TemporaryDirectory() as folder:
        OpenVINOEngine.library().save_model(model, f"{folder}/model.xml", compress_to_fp16=False)
        return Path(f"{folder}/model.xml").read_bytes(), Path(f"{folder}/model.bin").read_bytes()


def render(input_size: tuple[int, int]) -> bytes:
    """Render the test image: shaded fruit-coloured balls, as a JPEG.

    More than twice the input size, so that a decoder's reduced scale takes part in the test; not square, so that the
    change of aspect ratio does.
    """
    width, height = 2 * input_size[0] + 150, 2 * input_size[1] + 90
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width])[:, None, None]
    canvas = np.stack([0.9 - 0.3 * y, 0.85 - 0.2 * x, 0.7 + 0.2 * x * y], axis=-1)
    balls = [(0.3, 0.35, 0.22, (0.85, 0.1, 0.1)), (0.7, 0.4, 0.2, (0.95, 0.6, 0.1)), (0.5, 0.7, 0.25, (0.3, 0.7, 0.15))]
    for centre_x, centre_y, radius, colour in balls:
        distance = np.hypot(x - centre_x, y - centre_y) / radius
        texture = 0.08 * np.sin(97 * x + 31 * y) * np.sin(53 * y - 71 * x)
        shade = np.sqrt(np.clip(1 - distance**2, 0, 1)) * 0.8 + 0.2 + texture
        canvas = np.where((distance < 1)[..., None], shade[..., None] * np.array(colour), canvas)
    file = io.BytesIO()
    Image.fromarray((np.clip(canvas, 0, 1) * 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def _write(extractor: Extractor, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{extractor.extractor_id}.zip"
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")  # not *.zip: a reader must not find half an artefact
    unfinished.write_bytes(extractor.to_bytes())
    unfinished.replace(path)
    return path


if __name__ == "__main__":
    sys.exit(main())
