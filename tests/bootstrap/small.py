"""Small wheelhouses, for what goes wrong."""

import hashlib
import io
import tarfile
from pathlib import Path


def fold(parent: Path, files: dict[str, bytes]) -> Path:
    """Make a wheelhouse of the given files, with the name that its content gives it."""
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())).encode()
    folder = parent / hashlib.sha256(sums).hexdigest()
    folder.mkdir(parents=True)
    for name, data in {**files, "SHA256SUMS": sums}.items():
        (folder / name).write_bytes(data)
    return folder


def tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def member(archive: Path, start: str) -> tuple[str, bytes]:
    """Read the one file of a tar whose name begins so."""
    with tarfile.open(archive) as opened:
        (found,) = [one for one in opened if one.name.startswith(start)]
        content = opened.extractfile(found)
        assert content is not None
        return found.name, content.read()
