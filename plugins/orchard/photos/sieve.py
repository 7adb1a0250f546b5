"""Sieve: which of all files under a prefix are looked into, by their names alone; the others are counted by kind."""

import fnmatch
import re
from collections import Counter
from collections.abc import Mapping, Sequence

# Names (of a file, or of a folder on the way to it) that other programs leave behind, and whose they are. `*`, `?` and
# `[!.]` are a shell's, and capital letters stand for small ones, too. The first that fits counts.
OTHERS = {
    "._*": "of macOS",
    ".DS_Store": "of macOS",
    ".AppleDouble": "of macOS",
    ".Spotlight-V100": "of macOS",
    ".fseventsd": "of macOS",
    ".Trashes": "of macOS",
    "__MACOSX": "of macOS",
    "Icon\r": "of macOS",
    "$RECYCLE.BIN": "of Windows",
    "System Volume Information": "of Windows",
    "Thumbs.db": "of Windows",
    "ehthumbs*.db": "of Windows",
    "desktop.ini": "of Windows",
    "@eaDir": "of a NAS",
    "#recycle": "of a NAS",
    "#snapshot": "of a NAS",
    ".@__thumb": "of a NAS",
    ".ipynb_checkpoints": "of Jupyter",
    ".Trash-*": "of a desktop",
    ".thumbnails": "of a desktop",
    "lost+found": "of a file system",
    ".[!.]*": "hidden",
}
LEAVE_OUT = tuple(OTHERS)
# What cameras, phones and the web call photos. The bytes decide what a file is; a name only whether one looks.
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".mpo",
    ".heic", ".heif", ".hif", ".avif",
)  # fmt: skip
_PHOTO = re.compile(
    # `photo.jpg?itok=1a2b`, `photo.jpg!d`, `photo.jpg:large`: what a download keeps of an address.
    rf"({'|'.join(map(re.escape, SUFFIXES))})([?!:&;@#].*)?$",
    re.IGNORECASE | re.DOTALL,
)
# As nearly all are written; the pattern takes ten times as long.
_USUAL = tuple(suffix for lower in SUFFIXES for suffix in (lower, lower.upper()))
_SUFFIX = re.compile(r".(\.[^. ]{1,12})$", re.DOTALL)


class Sieve:
    """Lets the names of photos through, and counts what it holds back.

    Parameters
    ----------
    leave_out : sequence of str
        Patterns of names, as `OTHERS` explains them.
    lake : str, optional
        Address with a slash at its end, all below which is left out: a lake's own pictures.

    Attributes
    ----------
    left_out : Counter of str
        Files, by kind.
    """

    def __init__(self, leave_out: Sequence[str] = LEAVE_OUT, lake: str | None = None) -> None:
        self.lake = lake
        self.left_out: Counter[str] = Counter()
        self._patterns = [
            (re.compile(fnmatch.translate(pattern), re.IGNORECASE), OTHERS.get(pattern, f"like {pattern}"))
            for pattern in leave_out
        ]
        any_of_them = "|".join(pattern.pattern for pattern, _ in self._patterns)
        self._any = re.compile(any_of_them, re.IGNORECASE) if self._patterns else None
        self._folders: dict[str, str | None] = {}

    def passes(self, path: str, uri: str = "") -> bool:
        """Whether a file is looked into.

        Parameters
        ----------
        path : str
            Below the prefix, with slashes.
        """
        if self.lake and uri.startswith(self.lake):
            self.left_out["of a lake"] += 1
            return False
        folder, _, name = path.rpartition("/")
        if folder not in self._folders:
            if len(self._folders) > 10_000:
                self._folders.clear()
            self._folders[folder] = self._of_another(*folder.split("/"))
        kind = self._folders[folder] or self._of_another(name) or _no_photo(name)
        if kind:
            self.left_out[kind] += 1
        return kind is None

    def _of_another(self, *names: str) -> str | None:
        if self._any is None or not any(map(self._any.match, names)):  # as most are
            return None
        return next((kind for pattern, kind in self._patterns if any(map(pattern.match, names))), None)


def told(left_out: Mapping[str, int], most: int = 5) -> str:
    """Say what was left out, the most frequent kinds first: ``3 hidden, 2 of macOS``."""
    kinds = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    said = [f"{count:,} {kind}" for kind, count in kinds[:most]]
    if others := sum(count for _, count in kinds[most:]):
        said.append(f"{others:,} others")
    return ", ".join(said)


def _no_photo(name: str) -> str | None:
    """Name the kind of a file that is not called a photo; one without a suffix may be one."""
    if name.endswith(_USUAL) or _PHOTO.search(name):
        return None
    suffix = _SUFFIX.search(name)
    return f"named {suffix[1].lower()}" if suffix else None
