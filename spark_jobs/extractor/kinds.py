"""Kinds: what the bytes are of a file that is named like a photo and is none, in words for the person who put it there.

Only for what is told: what can be decoded is decided by whoever decodes it.
"""

import re

_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
# How files begin; the first one that fits. A dot stands for any byte.
_KINDS = tuple(
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), kind)
    for pattern, kind in (
        (rb"....ftyp(avif|avis)", "AVIF"),
        (rb"....ftyp(" + b"|".join(_HEIC) + rb")", "HEIC"),
        (rb"....ftypcrx ", "a raw photo of a Canon camera (CR3)"),
        (rb"....ftypqt  ", "a QuickTime video"),
        (rb"....ftyp", "an MP4 video or audio"),
        (rb"\xff\xd8\xff", "JPEG"),
        (rb"\x89PNG\r\n\x1a\n", "PNG"),
        (rb"GIF8[79]a", "GIF"),
        (rb"RIFF....WEBP", "WebP"),
        (rb"RIFF....AVI ", "an AVI video"),
        (rb"II\*\0....CR", "a raw photo of a Canon camera (CR2)"),
        (rb"II\*\0|MM\0\*|II\+\0|MM\0\+", "TIFF, or a raw photo that begins like one"),
        (rb"FUJIFILMCCD-RAW", "a raw photo of a Fujifilm camera (RAF)"),
        (rb"IIRO|IIRS", "a raw photo of an Olympus camera (ORF)"),
        (rb"BM", "BMP"),
        (rb"8BPS", "a Photoshop document"),
        (rb"\0\0\0\x0cJXL |\xff\x0a", "JPEG XL"),
        (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000"),
        (rb"\0\x05\x16\x07", "macOS' notes about another file (AppleDouble)"),
        (rb"%PDF-", "a PDF"),
        (rb"%!PS", "PostScript"),
        (rb"PK\x03\x04", "a ZIP archive, or a document that is one"),
        (rb"\x1f\x8b", "a gzip archive"),
        (rb"\x1aE\xdf\xa3", "a Matroska or WebM video"),
        (rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!DOCTYPE svg[^>]*>\s*)?<svg", "SVG"),
        (rb"\s*(<!--.*?-->\s*)*<(!DOCTYPE )?html", "a page of HTML: was a download refused?"),
        (rb"\s*<\?xml", "XML: was a download refused?"),
        (rb"\s*[{\[]\s*[\"{\[\]}]", "JSON"),
        (rb"version https://git-lfs", "a pointer of Git LFS: the photo itself was not fetched"),
        (rb"\0+$", "nothing but zeros: was a copy broken off?"),
    )
)
_LOOKED_AT = 1024
DECODED = frozenset(("AVIF", "BMP", "GIF", "HEIC", "JPEG", "PNG", "WebP"))  # one that is not decoded is damaged


def kind(data: bytes) -> str | None:
    """Say what a file is by how it begins; None where that is not known."""
    begin = data[:_LOOKED_AT]
    return next((kind for pattern, kind in _KINDS if pattern.match(begin)), None)


def is_heic(data: bytes) -> bool:
    """Whether a file is HEIC, or says that it is an image in HEIC's container."""
    return data[4:8] == b"ftyp" and data[8:12].lower() in _HEIC
