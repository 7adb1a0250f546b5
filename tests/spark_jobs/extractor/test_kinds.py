import io
import zipfile

import pytest
from PIL import Image

from spark_jobs.extractor.kinds import is_heic, kind


def archive() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("word/document.xml", "<w/>")
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
        (b"\0\0\0\x18ftypcrx \0\0\0\0", "a raw photo of a Canon camera (CR3)"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0", "a QuickTime video"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "an MP4 video or audio"),
        (b"II*\0\x10\0\0\0CR\2\0", "a raw photo of a Canon camera (CR2)"),
        (b"II*\0\x08\0\0\0", "TIFF, or a raw photo that begins like one"),
        (b"\0\x05\x16\x07\0\2\0\0Mac OS X", "macOS' notes about another file (AppleDouble)"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"%PDF-1.7", "a PDF"),
        (archive(), "a ZIP archive, or a document that is one"),
        (b'<?xml version="1.0"?>\n<!-- by hand -->\n<svg xmlns="...">', "SVG"),
        (b"<!doctype html><title>404</title>", "a page of HTML: was a download refused?"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied', "XML: was a download refused?"),
        (b'{"error": 403}', "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS: the photo itself was not fetched"),
        (bytes(4096), "nothing but zeros: was a copy broken off?"),
        (b"hello", None),
        (b"", None),
    ],
)
def test_what_a_file_is(data: bytes, expected: str | None) -> None:
    assert kind(data) == expected
    assert is_heic(data) == (expected == "HEIC")


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "BMP", "WebP", "AVIF"])
def test_what_pillow_writes(file_format: str) -> None:
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, file_format)
    assert kind(data.getvalue()) == file_format
