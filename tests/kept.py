"""Kept: what takes tests long to make and depends on few things, in ``.cache/tests`` under a hash of those things.

One process makes it, the others wait; it is there for the next session of tests, too.
"""

import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
_CACHE = REPOSITORY / ".cache" / "tests"


def kept(name: str, made_of: Iterable[str | bytes | Path], make: Callable[[Path], object]) -> Path:
    """Return the folder of that name, made by `make` unless it is there, of the same things.

    Parameters
    ----------
    made_of : iterable of str, bytes or Path
        All that what is made depends on: words, and files by their content.
    """
    digest = hashlib.sha256()
    for one in made_of:
        data = one.read_bytes() if isinstance(one, Path) else one.encode() if isinstance(one, str) else one
        digest.update(f"{len(data)}\0".encode() + data)
    folder = _CACHE / f"{name}-{digest.hexdigest()[:16]}"
    done = folder.with_suffix(".done")
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            for old in _CACHE.glob(f"{name}-*"):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
