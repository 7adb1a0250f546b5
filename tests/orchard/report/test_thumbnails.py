import base64
import io

import pytest
from PIL import Image, ImageFile

from orchard.report.thumbnails import MAX_BYTES, thumbnail


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def shown(data: bytes) -> Image.Image | None:
    uri = thumbnail(data)
    if uri is None:
        return None
    assert uri.startswith("data:image/jpeg;base64,")
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_format(kind: str) -> None:
    seen = shown(encode(Image.new("RGB", (400, 200), "red"), kind))
    assert seen is not None
    assert seen.size == (96, 48)
    red, green, blue = seen.getpixel((40, 20))
    assert red > 240
    assert max(green, blue) < 15


def test_what_is_cut_is_shown_as_far_as_it_goes() -> None:
    whole = encode(Image.effect_noise((300, 300), 80).convert("RGB"), "JPEG")
    seen = shown(whole[: len(whole) // 2])
    assert seen is not None
    top, bottom = seen.convert("L").crop((0, 0, 96, 24)), seen.convert("L").crop((0, 72, 96, 96))
    assert top.getextrema()[0] < bottom.getextrema()[0]  # noise above, even grey below
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_transparency_is_white() -> None:
    seen = shown(encode(Image.new("RGBA", (50, 50), (255, 0, 0, 0)), "PNG"))
    assert seen is not None
    assert min(seen.getpixel((25, 25))) > 250


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a photo",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        encode(Image.new("RGB", (9, 9)), "PNG")[:30],
        b"\0" * (MAX_BYTES + 1),
    ],
    ids=["empty", "text", "svg", "eps", "half a header", "too many bytes"],
)
def test_nothing_to_see(data: bytes) -> None:
    assert thumbnail(data) is None


@pytest.mark.parametrize(("kind", "mode", "side"), [("PNG", "1", 12_000), ("PNG", "L", 4_001), ("GIF", "L", 6_000)])
def test_a_decompression_bomb_is_not_decoded(kind: str, mode: str, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = encode(Image.new(mode, (side, side)), kind)

    def load(self: ImageFile.ImageFile) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    assert thumbnail(bomb) is None


def test_a_large_jpeg_is_decoded_small_unless_it_is_progressive() -> None:
    large = Image.new("L", (5_000, 4_000), 99)
    seen = shown(encode(large, "JPEG"))
    assert seen is not None
    assert seen.size == (96, 77)
    assert thumbnail(encode(large, "JPEG", progressive=True)) is None
