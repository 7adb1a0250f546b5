"""Thumbnails: small pictures of photos that could not be used, as far as there is anything to see in them.

For looking at alone. What a photo must be to give an embedding is decided in spark_jobs/extractor/photos.py; here half
a JPEG is as good as a whole one, and nothing that a file holds may cost more than a few megabytes or raise an error.
"""

import base64
import io
import struct
import threading
import warnings
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES = 16 * 2**20  # of a file: larger ones are not even fetched
_MAX_PIXELS = 16_000_000  # decoded at once, 64 MB; a JPEG of 1,000 megapixels decodes at an eighth of its size
_SIDE = 96
# Never EPS or PDF: Pillow would start Ghostscript for them.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
# What Pillow raises for files that are cut or damaged.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    TypeError,
    LookupError,
    ArithmeticError,
)
_pillows_setting = threading.Lock()


def thumbnail(data: bytes) -> str | None:
    """Draw what can be seen of a photo as a JPEG of at most 96 pixels a side, in a ``data:`` URI; None for nothing."""
    from PIL import Image, ImageFile

    if len(data) > MAX_BYTES:
        return None
    with _pillows_setting, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, and of many pixels, which are counted below
        before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                wide, high = image.size
                image.draft("RGB", (_SIDE, _SIDE))
                scaled = "progressive" not in image.info  # else its coefficients are held at full size
                decoded = image.width * image.height if scaled else wide * high
                if decoded > _MAX_PIXELS:
                    return None
                image.thumbnail((_SIDE, _SIDE))
                return _encode(image)
        except (*_DAMAGE, Image.DecompressionBombError):
            return None
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before


def _encode(image: "Image.Image") -> str:
    from PIL import Image

    seen = image.convert("RGBA")
    white = Image.new("RGB", seen.size, "white")
    white.paste(seen, mask=seen)
    jpeg = io.BytesIO()
    white.save(jpeg, "JPEG", quality=80, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.getvalue()).decode()}"
