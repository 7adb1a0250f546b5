import io
import re
import struct
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile
from pillow_heif import HeifImagePlugin  # noqa: F401 (so that Pillow writes HEIC)

from spark_jobs.extractor import photos
from spark_jobs.extractor.photos import MAX_BYTES, MAX_PIXELS, RECIPE, PhotoError, check_bytes, decode

WHITE, BLACK, RED, GREEN, BLUE = (255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)


def encode(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def noisy(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def plain(mode: str, colour: Any, file_format: str, **options: Any) -> bytes:
    return encode(Image.new(mode, (4, 4), colour), file_format, **options)


def grey16(value: int, file_format: str = "PNG", dtype: str = "uint16", **options: Any) -> bytes:
    return encode(Image.fromarray(np.full((4, 4), value, dtype)), file_format, **options)


def palette_png(transparency: int | bytes) -> bytes:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([*RED, *BLUE])
    return encode(image, "PNG", transparency=transparency)


def big_endian_tiff16(value: int) -> bytes:
    entries = [(256, 2), (257, 2), (258, 16), (259, 1), (262, 1), (273, 200), (277, 1), (278, 2), (279, 8)]
    directory = b"".join(struct.pack(">HHIHH", tag, 3, 1, number, 0) for tag, number in entries)
    header = b"MM\0*" + struct.pack(">IH", 8, len(entries)) + directory + struct.pack(">I", 0)
    return header.ljust(200, b"\0") + struct.pack(">4H", *[value] * 4)


def lab_tiff(lightness: int) -> bytes:
    return encode(Image.merge("LAB", [Image.new("L", (4, 4), band) for band in (lightness, 128, 128)]), "TIFF")


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def huge_png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def huge_jpeg(width: int, height: int) -> bytes:
    data = encode(Image.new("RGB", (8, 8)), "JPEG")
    frame = data.index(b"\xff\xc0") + 5
    return data[:frame] + struct.pack(">HH", height, width) + data[frame + 4 :]


# --- what the pixels are


@pytest.mark.parametrize(
    ("data", "colour"),
    [
        pytest.param(plain("RGB", (10, 20, 30), "PNG"), (10, 20, 30), id="RGB"),
        pytest.param(plain("RGB", (10, 20, 30), "BMP"), (10, 20, 30), id="BMP"),
        pytest.param(plain("RGB", (10, 20, 30), "WEBP", lossless=True), (10, 20, 30), id="WebP"),
        pytest.param(plain("RGB", (10, 20, 30), "TIFF", compression="tiff_lzw"), (10, 20, 30), id="TIFF"),
        pytest.param(plain("RGB", (200, 200, 200), "AVIF", quality=100), (200, 200, 200), id="AVIF"),
        pytest.param(plain("RGB", (200, 200, 200), "HEIF", quality=-1), (200, 200, 200), id="HEIC"),
        pytest.param(plain("L", 77, "JPEG"), (77, 77, 77), id="grey JPEG"),
        pytest.param(plain("1", 1, "PNG"), WHITE, id="1 bit"),
        pytest.param(plain("CMYK", (255, 0, 0, 0), "TIFF"), (0, 255, 255), id="CMYK: pure cyan"),
        pytest.param(plain("CMYK", (255, 0, 0, 0), "JPEG", quality=100), (0, 255, 255), id="CMYK JPEG: pure cyan"),
        pytest.param(plain("YCbCr", (128, 128, 128), "TIFF"), (128, 128, 128), id="YCbCr"),
        pytest.param(grey16(0x8000), (128, 128, 128), id="16 bits"),
        pytest.param(grey16(0x00FF), BLACK, id="16 bits, dark"),
        pytest.param(grey16(0xFFFF, "TIFF"), WHITE, id="16-bit TIFF"),
        pytest.param(big_endian_tiff16(0x8000), (128, 128, 128), id="16-bit TIFF, big-endian"),
        pytest.param(grey16(0x8000, "TIFF", "int32"), (128, 128, 128), id="32-bit TIFF"),
        pytest.param(grey16(0x7FFFFFFF, "TIFF", "int32"), WHITE, id="32-bit TIFF, above 16 bits"),
        pytest.param(grey16(-1, "TIFF", "int32"), BLACK, id="32-bit TIFF, below 0"),
        pytest.param(grey16(0x8000, transparency=0x8000), WHITE, id="16 bits, the transparent one"),
        pytest.param(grey16(0x8000, transparency=0x8001), (128, 128, 128), id="16 bits, not the transparent one"),
        pytest.param(plain("RGBA", (255, 0, 0, 128), "PNG"), (255, 127, 127), id="half-transparent red"),
        pytest.param(plain("RGBA", (255, 0, 0, 0), "PNG"), WHITE, id="transparent red"),
        pytest.param(plain("RGBA", (0, 0, 255, 0), "WEBP", lossless=True), WHITE, id="transparent WebP"),
        pytest.param(plain("LA", (0, 128), "PNG"), (127, 127, 127), id="half-transparent black"),
        pytest.param(plain("RGB", RED, "PNG", transparency=RED), WHITE, id="RGB, the transparent one"),
        pytest.param(plain("RGB", BLUE, "PNG", transparency=RED), BLUE, id="RGB, not the transparent one"),
        pytest.param(plain("L", 9, "PNG", transparency=9), WHITE, id="grey, the transparent one"),
        pytest.param(palette_png(0), BLUE, id="palette, not the transparent one"),
        pytest.param(palette_png(1), WHITE, id="palette, the transparent one"),
        pytest.param(palette_png(b"\xff\x80"), (127, 127, 255), id="palette, half-transparent"),
    ],
)
def test_every_kind_of_pixel_becomes_rgb_on_white(data: bytes, colour: tuple[int, int, int]) -> None:
    assert decode(data, (2, 2)).tolist() == [[list(colour)] * 2] * 2


@pytest.mark.parametrize(("lightness", "colour"), [(0, BLACK), (136, (127, 127, 127)), (255, WHITE)])
def test_lab_becomes_rgb(lightness: int, colour: tuple[int, int, int]) -> None:
    # By colour management, which rounds as it likes.
    np.testing.assert_allclose(decode(lab_tiff(lightness), (1, 1)), np.full((1, 1, 3), colour), atol=2)


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_of_several_frames_the_first_counts(file_format: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    pixels = decode(encode(frames[0], file_format, save_all=True, append_images=frames[1:]), (2, 2))
    np.testing.assert_allclose(pixels, np.full((2, 2, 3), RED), atol=2)


# Where the red top left quarter of the stored image has to go.
CORNERS = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", CORNERS)
@pytest.mark.parametrize("scale", [1, 8])  # 8: a JPEG is decoded at reduced scale
def test_photos_are_made_upright(file_format: str, orientation: int, scale: int) -> None:
    stored = Image.new("RGB", (32 * scale, 16 * scale), "blue")
    stored.paste("red", (0, 0, 16 * scale, 8 * scale))
    exif = Image.Exif()
    exif[274] = orientation
    stored.info["exif"] = exif.tobytes()  # HEIC's writer makes a property of it, which counts there in place of EXIF
    size = (32, 16) if orientation < 5 else (16, 32)
    pixels = decode(encode(stored, file_format, **({} if file_format == "HEIF" else {"exif": exif})), size)
    assert pixels.shape == (size[1], size[0], 3)
    red = pixels[..., 0] > 128
    corner = CORNERS[orientation]
    expected = np.zeros((2, 2), bool)
    expected[corner] = True
    height, width = pixels.shape[:2]
    # Away from the edges of the quarters, where JPEG and resizing blur.
    seen = red[height // 4 :: height // 2, width // 4 :: width // 2]
    assert seen.tolist() == expected.tolist()


@given(st.binary(max_size=40), st.integers(0, 120), st.sampled_from(["JPEG", "PNG", "WEBP"]))
@settings(max_examples=300, deadline=None)
def test_broken_exif_never_fails_a_good_photo(junk: bytes, at: int, file_format: str) -> None:
    exif = Image.Exif()
    exif[274], exif[282], exif[283], exif[296], exif[306] = 9, 72.0, 72.0, 2, "2020:01:01 00:00:00"
    body = exif.tobytes()[6:]
    broken = b"Exif\0\0" + (body[:at] + junk + body[at + len(junk) :])
    data = encode(Image.new("RGB", (8, 8), RED), file_format, exif=broken)
    np.testing.assert_allclose(decode(data, (2, 2)), np.full((2, 2, 3), RED), atol=2)


def test_a_resolution_that_is_no_fraction_does_not_fail_a_photo() -> None:
    # Pillow's own reading of the resolution raises IndexError here, and calls the JPEG no image.
    entries = struct.pack(">HHI4s", 0x011A, 2, 1, b"x\0\0\0") + struct.pack(">HHIHH", 0x0128, 3, 1, 2, 0)
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 2) + entries + bytes(4)
    image = Image.new("RGB", (8, 8), RED)
    data = encode(image, "JPEG", exif=exif)
    assert decode(data, (8, 8)).tolist() == decode(encode(image, "JPEG"), (8, 8)).tolist()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(("width", "scale"), [(15, 1), (16, 2), (40, 4), (64, 8), (640, 8)])
def test_large_jpegs_are_decoded_at_reduced_scale(mode: str, width: int, scale: int) -> None:
    image = noisy(width, width).convert(mode)
    data = encode(image, "JPEG", quality=95)
    whole = Image.open(io.BytesIO(data))
    if scale > 1:
        whole.draft(None, (width // scale, width // scale))
        assert whole.width == width // scale
    expected = np.asarray(whole.convert("RGB").resize((8, 8), Image.Resampling.BICUBIC))
    assert decode(data, (8, 8)).tolist() == expected.tolist()


def test_size_is_width_and_height() -> None:
    pixels = decode(plain("RGB", RED, "PNG"), (3, 5))
    assert pixels.shape == (5, 3, 3)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_one_pixel_is_a_photo(file_format: str) -> None:
    data = encode(Image.new("RGB", (1, 1), WHITE), file_format)
    assert decode(data, (3, 2)).tolist() == [[[255, 255, 255]] * 3] * 2


# --- what is no photo

JPEG = encode(noisy(32, 24), "JPEG")
AVIF = encode(noisy(32, 24), "AVIF")
HEIC = encode(noisy(32, 24), "HEIF")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "the file is empty (0 bytes)", id="empty"),
        pytest.param(b"hello, world", "not an image that can be read: it begins with b'hello, world'", id="text"),
        pytest.param(b"%PDF-1.7\n", "not an image that can be read: it is a PDF", id="PDF"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image that can be read", id="EPS"),
        pytest.param(b"\0" * 1000, "not an image that can be read", id="zeros"),
        pytest.param(JPEG[:20], "not an image that can be read: it begins like JPEG, and is damaged", id="header cut"),
        pytest.param(AVIF[:80], "not an image that can be read: it begins like AVIF, and is damaged", id="AVIF cut"),
        pytest.param(HEIC[:80], "not an image that can be read: it begins like HEIC, and is damaged", id="HEIC cut"),
        pytest.param(JPEG[:-200], "truncated: the image data ends early", id="JPEG cut"),
        pytest.param(encode(noisy(32, 24), "PNG")[:-300], "truncated: the image data ends early", id="PNG cut"),
        pytest.param(encode(noisy(32, 24), "GIF")[:-99], "truncated: the image data ends early", id="GIF cut"),
        pytest.param(encode(noisy(32, 24), "WEBP")[:-99], "damaged: ", id="WebP cut"),
        pytest.param(encode(noisy(32, 24), "TIFF")[:-99], "truncated: the image data ends early", id="TIFF cut"),
        pytest.param(
            encode(Image.new("F", (4, 4), 0.5), "TIFF"), "its pixels are floating-point numbers", id="floating point"
        ),
        pytest.param(
            huge_png(20_000, 20_000),
            "the image is 400 megapixels, more than the 100 that are decoded (a decompression bomb?)",
            id="bomb, PNG",
        ),
        pytest.param(
            huge_png(10_001, 10_000),
            "10001x10000 is 101 megapixels, more than the 100 that are decoded (a decompression bomb?)",
            id="just above, PNG",
        ),
        pytest.param(huge_jpeg(20_000, 20_000), "the image is 400 megapixels, more than the 100", id="bomb, JPEG"),
        pytest.param(huge_jpeg(12_000, 12_000), "12000x12000 is 144 megapixels, more than the 100", id="large, JPEG"),
        pytest.param(
            huge_jpeg(65_000, 65_000), "the image is 4225 megapixels, more than the 100", id="largest bomb, JPEG"
        ),
    ],
)
def test_what_is_no_photo_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(PhotoError, match=re.escape(reason)):
        decode(data, (8, 8))


def test_heic_without_what_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoError) as caught:
        decode(HEIC, (8, 8))
    assert str(caught.value) == "HEIC, which the package pillow-heif reads: it is not installed here"
    assert decode(AVIF, (8, 8)).shape == (8, 8, 3)


def test_a_photo_is_refused_by_its_bytes_before_it_is_fetched() -> None:
    check_bytes(1)
    check_bytes(MAX_BYTES)
    with pytest.raises(PhotoError, match=r"the file has 300 MiB, more than the 256 that are read"):
        check_bytes(300 * 2**20)
    with pytest.raises(PhotoError, match=r"the file is empty \(0 bytes\)"):
        check_bytes(0)


@given(st.integers(0, len(JPEG) - 1))
@settings(max_examples=100, deadline=None)
def test_a_jpeg_cut_anywhere_is_refused_or_complete(length: int) -> None:
    try:
        pixels = decode(JPEG[:length], (8, 8))
    except PhotoError:
        return
    assert length > len(JPEG) - 16  # all blocks were there, only the end marker was missing
    assert pixels.tolist() == decode(JPEG, (8, 8)).tolist()


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0"])
)
@example(b"", b"")
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes_raise_nothing_but_photo_error(data: bytes, signature: bytes) -> None:
    try:
        decode(signature + data, (4, 4))
    except PhotoError as error:
        assert str(error)


SMALL = noisy(13, 9)
VALID: dict[str, bytes] = {
    "JPEG": encode(SMALL, "JPEG"),
    "progressive JPEG": encode(SMALL, "JPEG", progressive=True),
    "MPO": encode(SMALL, "MPO", save_all=True, append_images=[SMALL]),
    "PNG": encode(SMALL, "PNG"),
    "palette PNG": encode(SMALL.convert("P"), "PNG", transparency=3),
    "16-bit PNG": encode(Image.fromarray(np.arange(99, dtype=np.uint16).reshape(9, 11)), "PNG", transparency=7),
    "APNG": encode(SMALL, "PNG", save_all=True, append_images=[SMALL.rotate(180)]),
    "GIF": encode(SMALL, "GIF"),
    "WebP": encode(SMALL, "WEBP"),
    "TIFF": encode(SMALL, "TIFF"),
    "LZW TIFF": encode(SMALL, "TIFF", compression="tiff_lzw"),
    "BMP": encode(SMALL, "BMP"),
    "AVIF": encode(SMALL, "AVIF"),
    "HEIC": encode(SMALL, "HEIF"),
}


@pytest.mark.parametrize("kind", VALID)
@pytest.mark.filterwarnings("error")
def test_one_wrong_byte_raises_nothing_but_photo_error(kind: str) -> None:
    @given(st.integers(0, len(VALID[kind]) - 1), st.integers(0, 255))
    @settings(max_examples=80, deadline=None)
    def check(position: int, value: int) -> None:
        damaged = bytearray(VALID[kind])
        damaged[position] = value
        try:
            pixels = decode(bytes(damaged), (4, 3))
        except PhotoError:
            return
        assert pixels.shape == (3, 4, 3)

    check()


# --- what is not the photo's fault


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (OSError(28, "No space left on device"), OSError),
        (MemoryError(), MemoryError),
        (OSError("out of memory when reading image file"), MemoryError),
    ],
)
def test_faults_of_the_machine_reject_no_photo(
    fault: Exception, raised: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: ImageFile.ImageFile) -> None:
        raise fault

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(raised) as caught:
        decode(plain("RGB", RED, "PNG"), (2, 2))
    assert not isinstance(caught.value, PhotoError)


def test_a_wrong_size_rejects_no_photo() -> None:
    with pytest.raises(ValueError, match=r"sizes are \(\(0, 8\),\): width and height must be at least 1") as caught:
        decode(JPEG, (0, 8))
    assert not isinstance(caught.value, PhotoError)


# --- in a worker


def test_threads_get_what_one_thread_gets() -> None:
    files = [encode(noisy(20 + i, 30), "JPEG") for i in range(16)] + [VALID["TIFF"], grey16(500)]
    alone = [decode(data, (16, 16)) for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: decode(data, (16, 16)), files * 4))
    np.testing.assert_array_equal(together, alone * 4)


@pytest.mark.parametrize(
    ("make", "waits"),
    [
        (lambda image: encode(image, "PNG", compress_level=0), True),
        (lambda image: encode(image, "JPEG"), False),  # at 1/8 it is small
        (lambda image: encode(image, "JPEG", progressive=True), True),  # holds all its coefficients, at any scale
    ],
    ids=["PNG", "JPEG", "progressive JPEG"],
)
def test_large_photos_are_decoded_one_at_a_time(
    make: Callable[[Image.Image], bytes], waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "_LARGE_PIXELS", 10_000)
    data = make(noisy(128, 128))
    done = threading.Event()

    def decode_one() -> None:
        decode(data, (8, 8))
        done.set()

    worker = threading.Thread(target=decode_one)
    with photos._one_large_at_a_time:
        worker.start()
        assert done.wait(0.3 if waits else 10) is not waits
    worker.join(10)
    assert done.is_set()


def test_pillows_warnings_neither_reject_nor_fill_the_log(recwarn: pytest.WarningsRecorder) -> None:
    data = huge_png(9_900, 10_000)  # above Pillow's limit for a warning, below ours
    warnings.simplefilter("always")
    with pytest.raises(PhotoError, match=r"truncated|damaged"):
        decode(data, (8, 8))
    assert not recwarn.list


def test_pillows_own_limit_is_left_alone() -> None:
    assert Image.MAX_IMAGE_PIXELS == 1024**3 // 4 // 3
    assert MAX_PIXELS < 2 * Image.MAX_IMAGE_PIXELS  # above that Pillow would refuse what we mean to take


def test_other_pixels_need_another_version() -> None:
    # When this fails on purpose, raise the version: all embeddings are computed again.
    image = noisy(100, 75)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    pixels = decode(encode(image, "PNG"), (32, 32))
    assert (RECIPE["version"], zlib.crc32(pixels.tobytes())) == (1, 2140320780)
