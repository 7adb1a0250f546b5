"""Drawing boxes with their labels into a photo, for people to look at; not for what is computed with."""

from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from spark_jobs.extractor import photos

# Told apart by people who see red and green alike, too (Okabe and Ito 2008).
_COLOURS: Final = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")


def upright(data: bytes) -> Image.Image:
    """Decode a photo as it is, upright; `photos.decode` says what can go wrong."""
    return Image.fromarray(photos.decode(data, photos.upright_size(data)))


def draw(photo: Image.Image, boxes: Sequence[tuple[str, tuple[int, int, int, int]]]) -> Image.Image:
    """Draw boxes (left, top, right, bottom in pixels), each with its words, into a copy of a photo."""
    drawn = photo.copy()
    pen = ImageDraw.Draw(drawn)
    width = max(2, max(photo.size) // 200)
    font = ImageFont.load_default(max(10, max(photo.size) // 30))
    for number, (words, box) in enumerate(boxes):
        colour = _COLOURS[number % len(_COLOURS)]
        pen.rectangle(box, outline=colour, width=width)
        left, top, right, bottom = pen.textbbox((box[0], box[1]), words, font=font)
        pen.rectangle((left, top, right + width, bottom + width), fill=colour)
        pen.text((box[0], box[1]), words, fill="black", font=font)
    return drawn
