"""From the bytes of a photo to the pixels that an extractor takes.

Not for images that are to be kept or shown: everything here serves one small RGB array. What a photo can be and
still give pixels is decided here alone: a photo that can't be used raises `PhotoError`, with the reason in words;
anything else that is raised is a fault of the machine or of the caller, and no photo should be rejected for it.
"""

import io
import math
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

import numpy as np
from numpy.typing import NDArray

# Each of these plugins registers a format. Otherwise Pillow, asked for WebP, imports all that it has.
from PIL import (  # noqa: F401
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)
from PIL.ExifTags import Base

from spark_jobs.extractor.crop import box, least
from spark_jobs.extractor.kinds import DECODED, is_heic, kind

MAX_BYTES: Final = 256 * 1024 * 1024
"""Larger objects are never fetched: see `check_bytes`."""

MAX_PIXELS: Final = 100_000_000
"""Larger photos are never decoded, whatever their number of bytes: a PNG of 100 kB can hold a gigapixel."""

# What people and cameras call photos, beside HEIC, which a package of its own reads. JPEG includes MPO, which some
# cameras and phones write. Never EPS or PDF: Pillow would start Ghostscript for them.
FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")

RECIPE: Final[dict[str, str | int]] = {
    "version": 1,
    "decoder": "pillow",
    "reduced_scale": "jpeg at 1/2, 1/4 or 1/8, the smallest that is not below the input size",
    "orientation": "upright by exif",
    "colour": "rgb, alpha on white, 16 bits >> 8",
    "resize": "bicubic, aspect ratio ignored",
}
"""All that decides about the pixels. It goes into the extractor's id: change it when pixels change, and only then."""

# One photo of MAX_PIXELS takes up to 1.6 GB until it is resized (32-bit grey; RGBA 1.2): one per thread is too many.
_LARGE_PIXELS: Final = 16_000_000
_one_large_at_a_time: Final = threading.Lock()

# What Pillow raises for files that are cut or damaged, beside OSError without an errno. The last three come out of
# its parsers of TIFF, which EXIF is too.
_DAMAGE: Final = (
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    TypeError,
    LookupError,
    ArithmeticError,
)

_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_IGNORE_PILLOW: Final = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


class PhotoError(ValueError):
    """The photo can't be used; the message is the reason, for the person who put it there."""


def check_bytes(size: int) -> None:
    """Refuse a photo by its number of bytes, before it is fetched.

    Parameters
    ----------
    size : int
        The object's size in bytes, as the listing gives it.

    Raises
    ------
    PhotoError
        If there is nothing to fetch, or more than `MAX_BYTES`.
    """
    if size == 0:
        raise PhotoError("the file is empty (0 bytes)")
    if size > MAX_BYTES:
        raise PhotoError(f"the file has {size / 2**20:.0f} MiB, more than the {MAX_BYTES // 2**20} that are read")


def decode(data: bytes, size: tuple[int, int], crop: float | None = None) -> NDArray[np.uint8]:
    """Decode a photo, make it upright RGB on white, and resize it: `decode_views` of one size."""
    return decode_views(data, (size,), crop)[0]


def decode_views(
    data: bytes, sizes: tuple[tuple[int, int], ...], crop: float | None = None
) -> tuple[NDArray[np.uint8], ...]:
    """Decode a photo once, make it upright RGB on white, and resize it to each of several sizes.

    Safe to call from several threads: Pillow releases the interpreter's lock while it decodes and resizes.

    Parameters
    ----------
    data : bytes
        The file: JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC, whatever its name. Of an animation or of several
        pages, the first one counts.
    sizes : tuple of tuple of int
        Widths and heights wanted, in pixels. Without `crop` the aspect ratio is not kept, as in Keras' `load_img`.
    crop : float, optional
        See `spark_jobs.extractor.crop.box`. Default: all of the photo.

    Returns
    -------
    tuple of ndarray of shape (height, width, 3), dtype uint8
        One a size. Red, green, blue; read-only, as NumPy sees a Pillow image.

    Raises
    ------
    PhotoError
        If the photo can't be used.
    """
    if any(min(size) < 1 for size in sizes):
        raise ValueError(f"sizes are {sizes}: width and height must be at least 1")  # not the photo's fault
    with _faults(data):
        return _decode(data, sizes, crop)


def upright_size(data: bytes) -> tuple[int, int]:
    """Return width and height in pixels of a photo, once upright.

    Raises
    ------
    PhotoError
        If the photo can't be used.
    """
    with _faults(data):
        image = _open(data)
        _check_pixels(image)
        image.load()  # Pillow turns a TIFF upright as it loads it
        return _before_turning(image.size, _orientation(image))


@contextmanager
def _faults(data: bytes) -> Iterator[None]:
    """Tell a photo's faults, in words, from others."""
    check_bytes(len(data))
    _ignore_pillows_warnings()
    try:
        yield
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:  # Pillow's limit is above ours: it guards inner sizes too
        pixels = re.search(r"\d+", str(error))
        raise _too_large("the image", int(pixels[0]) if pixels else 2 * MAX_PIXELS) from error
    except UnidentifiedImageError as error:
        what = f"it begins with {data[:16]!r}"
        if known := kind(data):
            what = f"it begins like {known}, and is damaged" if known in DECODED else f"it is {known}"
        raise PhotoError(f"not an image that can be read: {what}") from error
    except OSError as error:
        if error.errno is not None:  # the machine's: a photo's bytes are in memory, no file is read
            raise
        if "out of memory" in str(error):
            raise MemoryError(str(error)) from error
        if "truncated" in str(error).lower():
            raise PhotoError("truncated: the image data ends early") from error
        raise PhotoError(f"damaged: {error}") from error
    except RuntimeError as error:  # libheif's and libavif's own; of any other library's, the machine is to blame
        if data[4:8] != b"ftyp":
            raise
        raise PhotoError(f"damaged: {error}") from error
    except _DAMAGE as error:
        raise PhotoError(f"damaged: {error}") from error


def _decode(data: bytes, sizes: tuple[tuple[int, int], ...], crop: float | None) -> tuple[NDArray[np.uint8], ...]:
    image = _open(data)
    pixels = _check_pixels(image)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        largest = max(width for width, _ in sizes), max(height for _, height in sizes)
        image.draft(None, _before_turning(least(largest, crop or 1), _orientation(image)))
        # A progressive JPEG holds its coefficients at full size, whatever the scale it is decoded at.
        if "progressive" not in image.info:
            pixels = image.width * image.height
    with _one_large_at_a_time if pixels > _LARGE_PIXELS else nullcontext():
        image.load()
        # Only now: Pillow turns a TIFF upright as it loads it, and a PNG's EXIF may stand after its pixels.
        orientation = _orientation(image)
        flat = _rgb_on_white(image)
        views = [_resized(flat, _before_turning(size, orientation), crop) for size in sizes]
    if orientation in _UPRIGHT:
        views = [view.transpose(_UPRIGHT[orientation]) for view in views]
    return tuple(np.asarray(view) for view in views)


def _open(data: bytes) -> Image.Image:
    if is_heic(data):
        return _open_heic(data)
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        # Pillow looks into a JPEG's EXIF for its resolution, and a short list there fails the whole photo
        # (JpegImagePlugin._read_dpi_from_exif does not catch IndexError): again, with the EXIF made unknown to it.
        if not (data.startswith(b"\xff\xd8\xff") and b"Exif\0\0" in data):
            raise
        return Image.open(io.BytesIO(data.replace(b"Exif\0\0", b"exif\0\0")), formats=FORMATS)


def _open_heic(data: bytes) -> Image.Image:
    try:
        from pillow_heif import HeifImagePlugin  # noqa: F401 (registers the format)
    except ImportError as error:
        raise PhotoError("HEIC, which the package pillow-heif reads: it is not installed here") from error
    return Image.open(io.BytesIO(data), formats=("HEIF",))


def _resized(image: Image.Image, size: tuple[int, int], crop: float | None) -> Image.Image:
    return image.resize(size, Image.Resampling.BICUBIC, box(image.size, size, crop) if crop else None)


def _before_turning(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    return size if orientation < 5 else (size[1], size[0])  # 5 to 8 lie on their side


def _orientation(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(Base.Orientation)
    except (OSError, *_DAMAGE):  # metadata is not worth a photo
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _rgb_on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if image.mode == "F":
        raise PhotoError("its pixels are floating-point numbers, and nothing says which of them is white")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    grey = np.asarray(image)
    eight_bits = np.clip(grey >> 8, 0, 255).astype(np.uint8)  # Pillow's convert clips all above 255 to white
    if "transparency" in image.info:
        eight_bits[grey == image.info["transparency"]] = 255
    return Image.fromarray(eight_bits).convert("RGB")


def _check_pixels(image: Image.Image) -> int:
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise _too_large(f"{image.width}x{image.height}", pixels)
    return pixels


def _too_large(what: str, pixels: int) -> PhotoError:
    return PhotoError(
        f"{what} is {math.ceil(pixels / 1e6)} megapixels, more than the {MAX_PIXELS // 10**6} that are decoded"
        " (a decompression bomb?)"
    )


def _ignore_pillows_warnings() -> None:
    # Pillow warns of odd metadata in good photos. Where warnings are errors such a photo would be rejected, elsewhere
    # they fill a worker's log. The filter stays: warnings.catch_warnings would not be safe with threads.
    if _IGNORE_PILLOW not in warnings.filters:
        warnings.filterwarnings("ignore", module=_IGNORE_PILLOW[3].pattern)
