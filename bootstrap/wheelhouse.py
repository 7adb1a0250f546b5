"""Wheelhouse: the folder in the lake's bucket from which nodes install, for they have no internet.

``python -m bootstrap.wheelhouse --out DIR`` makes ``DIR/<digest>`` with ``install.sh``, for each architecture a tar of
wheels and the list that they were made from, and ``SHA256SUMS`` of all these. The digest is that of SHA256SUMS, so the
address of the folder, which stands in the request for the cluster, says what a node may install; install.sh checks it.
"""

import argparse
import hashlib
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bootstrap.wheels import ARCHITECTURES, WheelhouseError, download

__all__ = ["ARCHITECTURES", "ENGINES", "SUMS", "WheelhouseError", "build", "stage", "verify"]

_HERE = Path(__file__).parent
LISTS = {  # of an engine on an architecture; TensorFlow is for GPUs, for which it has no wheels on aarch64
    ("openvino", "x86_64"): "requirements.txt",
    ("openvino", "aarch64"): "requirements-aarch64.txt",
    ("tensorflow", "x86_64"): "requirements-tensorflow.txt",
}
ENGINES = tuple(dict.fromkeys(engine for engine, _ in LISTS))
INSTALL, SUMS = "install.sh", "SHA256SUMS"
_CONTENT_TYPES = {".sh": "text/x-shellscript", ".tar": "application/x-tar"}


def build(out: Path, architectures: Collection[str] | None = None, engine: str = "openvino") -> Path:
    """Make the wheelhouse of an engine; wheels of the same lists that are in `out` already are taken from there.

    Parameters
    ----------
    architectures : collection of str, optional
        As ``uname -m`` says; default: all that the engine is there for.

    Returns
    -------
    Path
        ``out/<digest>``; the same content has the same digest, wherever and whenever it is made.

    Raises
    ------
    WheelhouseError
        The wheels cannot be had, or cannot be installed on a node.
    """
    offered = [architecture for one, architecture in LISTS if one == engine]
    architectures = offered if architectures is None else architectures
    if not architectures or not set(architectures) <= set(offered):
        raise WheelhouseError(
            f"There are wheels for the engine {engine!r} on {' and '.join(offered) or 'no architecture'}; "
            f"asked for: {', '.join(architectures) or 'none'}. Engines are: {', '.join(ENGINES)}."
        )
    lists = {architecture: (_HERE / LISTS[engine, architecture]).read_bytes() for architecture in architectures}
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=out) as temporary:
        folder = Path(temporary, "wheelhouse")
        folder.mkdir()
        shutil.copy(_HERE / INSTALL, folder)

        def bring(architecture: str) -> None:
            tar = folder / _tar(architecture)
            (folder / _list(architecture)).write_bytes(lists[architecture])
            if made := _made_before(out, architecture, lists[architecture]):
                tar.hardlink_to(made)
            else:
                _pack(download(lists[architecture].decode(), architecture, Path(temporary, architecture)), tar)

        with ThreadPoolExecutor() as pool:
            list(pool.map(bring, lists))
        sums = "".join(f"{_sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir())).encode()
        (folder / SUMS).write_bytes(sums)
        made = out / hashlib.sha256(sums).hexdigest()
        if made.exists():
            shutil.rmtree(made)
        return folder.rename(made)


def stage(s3: Any, lake_root: str, folder: Path) -> str:
    """Put a wheelhouse into the lake's bucket: what is there already stays, and SHA256SUMS goes last.

    Parameters
    ----------
    s3 : S3 client of boto3
    lake_root : str
        ``s3://bucket[/prefix]``.

    Returns
    -------
    str
        ``<lake_root>/bootstrap/<digest>``: the setting ``bootstrap``.

    Raises
    ------
    WheelhouseError
        The folder is damaged; nothing is put.
    """
    bucket, _, prefix = f"{lake_root.rstrip('/')}/bootstrap/{folder.name}".removeprefix("s3://").partition("/")
    for name in (*verify(folder), SUMS):
        path, key = folder / name, f"{prefix}/{name}"
        if _size(s3, bucket, key) != path.stat().st_size:
            kind = _CONTENT_TYPES.get(path.suffix, "text/plain")
            s3.upload_file(str(path), bucket, key, ExtraArgs={"ContentType": kind})
    return f"s3://{bucket}/{prefix}"


def verify(folder: Path) -> list[str]:
    """Check a wheelhouse against its name; return the names of its files but SHA256SUMS.

    Raises
    ------
    WheelhouseError
        A file is missing, or is not what the name says.
    """
    sums = folder / SUMS
    if not sums.is_file() or _sha256(sums) != folder.name:
        raise WheelhouseError(f"{folder} is no wheelhouse, or a damaged one: make it anew with `make wheelhouse`.")
    names = []
    for line in sums.read_text().splitlines():
        expected, _, name = line.partition("  ")
        path = folder / name
        if not path.is_file() or _sha256(path) != expected:
            raise WheelhouseError(f"{path} is missing or damaged: remove {folder}, and `make wheelhouse`.")
        names.append(name)
    return names


def _made_before(out: Path, architecture: str, text: bytes) -> Path | None:
    """Find a whole wheelhouse's tar of the same list: all is pinned by hash, so it would be the same tar."""
    for listed in sorted(out.glob(f"*/{_list(architecture)}")):
        if listed.read_bytes() == text:
            try:
                verify(listed.parent)
            except WheelhouseError:
                continue  # damaged, or of a build that was cut short
            return listed.with_name(_tar(architecture))
    return None


def _pack(wheels: Sequence[Path], tar: Path) -> None:
    """Pack files so that the same ones give the same tar. Wheels are compressed already."""
    with tarfile.open(tar, "w", format=tarfile.GNU_FORMAT) as archive:
        for wheel in wheels:
            member = tarfile.TarInfo(wheel.name)
            member.size, member.mode = wheel.stat().st_size, 0o644
            with wheel.open("rb") as file:
                archive.addfile(member, file)


def _tar(architecture: str) -> str:
    return f"wheels-{architecture}.tar"


def _list(architecture: str) -> str:
    return f"requirements-{architecture}.txt"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(s3: Any, bucket: str, key: str) -> int | None:
    from botocore.exceptions import ClientError

    try:
        return int(s3.head_object(Bucket=bucket, Key=key)["ContentLength"])
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
            return None
        raise


def main(argv: Sequence[str] | None = None) -> None:
    """Make a wheelhouse; its folder is all that stands on stdout."""
    parser = argparse.ArgumentParser(prog="python -m bootstrap.wheelhouse", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder in which it gets a folder of its own")
    parser.add_argument("--arch", action="append", choices=ARCHITECTURES, help="may be given twice (default: all)")
    parser.add_argument("--engine", choices=ENGINES, default="openvino", help="default: openvino")
    args = parser.parse_args(argv)
    try:
        folder = build(args.out, args.arch, args.engine)
    except WheelhouseError as error:
        raise SystemExit(str(error)) from None
    for path in sorted(folder.iterdir()):
        print(f"{path.stat().st_size / 1e6:8.1f} MB  {path.name}", file=sys.stderr)
    print(folder)


if __name__ == "__main__":
    main()
