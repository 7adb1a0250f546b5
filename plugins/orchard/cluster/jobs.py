"""Jobs: the data plane's code as a cluster gets it, a zip for ``--py-files`` and the scripts.

Their names hold the hash of the code: a running cluster keeps what it began with, and unchanged code is staged once.
"""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

from orchard.aws import exists, write_object

SCRIPTS = ("extract_embeddings", "reduce_embeddings", "maintain_tables")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # zip's first: the same code is the same zip


def folder() -> Path:
    """Find the jobs' code: beside plugins/, or in it where plugins/ is all that Airflow is given."""
    plugins = Path(__file__).resolve().parents[2]
    inside = plugins / "spark_jobs"
    return inside if inside.is_dir() else plugins.parent / "spark_jobs"


def package(folder: Path) -> tuple[bytes, str]:
    """Zip a package and hash its content.

    Parameters
    ----------
    folder : Path
        The package's; its name is the package's.

    Returns
    -------
    tuple of (bytes, str)
        The zip, and 12 hex digits.

    Raises
    ------
    FileNotFoundError
        A script of `SCRIPTS` is not in it.
    """
    for script in SCRIPTS:
        if not (folder / f"{script}.py").is_file():
            raise FileNotFoundError(
                f"Expected the jobs' code in {folder}, with {script}.py in it. "
                "spark_jobs/ is to stand beside plugins/ wherever Airflow's workers run."
            )
    digest, buffer = hashlib.sha256(), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(one for one in folder.rglob("*") if one.suffix in (".py", ".properties")):
            if "__pycache__" in path.parts:
                continue
            data = path.read_bytes()
            name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue(), digest.hexdigest()[:12]


def stage(s3: Any, root: str, folder: Path) -> dict[str, str]:
    """Put the code into the lake's bucket, if it is not there.

    Returns
    -------
    dict
        Addresses of the ``package`` and of each script.
    """
    data, digest = package(folder)
    addresses = {script: f"{root}/code/{digest}/{script}.py" for script in SCRIPTS}
    for script, address in addresses.items():
        if not exists(s3, address):
            write_object(s3, address, (folder / f"{script}.py").read_bytes(), "text/x-python")
    addresses["package"] = f"{root}/code/{folder.name}-{digest}.zip"
    if not exists(s3, addresses["package"]):  # last: with it, all is there
        write_object(s3, addresses["package"], data, "application/zip")
    return addresses
