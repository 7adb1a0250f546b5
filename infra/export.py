"""Export: the extractor's artefact of an environment, made by a process of its own and kept for the next deployment."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from infra.environment import Source
from infra.errors import InfraError
from spark_jobs.extractor.artefact import Extractor, ExtractorError

ROOT = Path(__file__).resolve().parent.parent


class Artefact(NamedTuple):
    """An extractor as a file."""

    path: Path
    extractor_id: str


def artefact(source: Source, folder: Path, tell: Callable[[str], None]) -> Artefact:
    """Return the artefact: the one given, one that was kept, or a new one.

    Parameters
    ----------
    folder : Path
        Where exports are kept; an export of the same code, weights and photos is not made again.
    tell : callable
        Hears of it when one is made, which takes its time.

    Raises
    ------
    InfraError
        The file given is no artefact, or the export failed; with what it said.
    """
    if source.artefact is not None:
        return _given(ROOT / source.artefact)
    note = folder / "exported.json"
    made_of = _made_of(source)
    if note.is_file():
        kept = json.loads(note.read_text())
        if kept["made_of"] == made_of and (folder / kept["artefact"]).is_file():
            return Artefact(folder / kept["artefact"], Path(kept["artefact"]).stem)
    tell("Exporting the extractor; about half a minute")
    options = [source.architecture, "--precision", source.precision, "--weights", source.weights]
    options += ["--calibrate", source.calibrate] if source.calibrate else []
    # A process of its own: tensorflow would stay in this one's memory, a gigabyte of it.
    command = [sys.executable, "-m", "spark_jobs.export_extractor", *options, "--out", str(folder.absolute())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        _, found, message = done.stderr.rpartition("error: ")
        raise InfraError(
            f"The extractor could not be exported: {message.strip() if found else done.stderr[-2000:]}\n"
            "The file of the environment says how, in its table [extractor]: weights = a file of them, "
            "or artefact = a file that was exported elsewhere."
        )
    extractor_id = done.stdout.split()[-1]
    path = folder / f"{extractor_id}.zip"
    note.write_text(json.dumps({"made_of": made_of, "artefact": path.name}))
    return Artefact(path, extractor_id)


def _given(path: Path) -> Artefact:
    try:
        return Artefact(path, Extractor.load(path).extractor_id)
    except ExtractorError as error:
        raise InfraError(f"extractor.artefact: {error}") from error


def _made_of(source: Source) -> str:
    """Hash all that an artefact depends on."""
    digest = hashlib.sha256(repr(source).encode())
    files = [*sorted((ROOT / "spark_jobs").rglob("*.py")), ROOT / "requirements.txt", ROOT / source.weights]
    if source.calibrate:
        files += sorted(one for one in (ROOT / source.calibrate).rglob("*") if one.is_file())
    for file in files:
        digest.update(f"\0{file.name}\0".encode())
        digest.update(file.read_bytes() if file.is_file() else b"")
    return digest.hexdigest()
