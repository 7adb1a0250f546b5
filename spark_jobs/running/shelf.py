"""Shelf: the extractors' artefacts that a lake keeps under ``extractors/``, each under its ``extractor_id``."""

import logging
import subprocess
import sys
import tempfile
from pathlib import Path

import obstore

from spark_jobs.extractor.architectures import DEFAULT
from spark_jobs.extractor.artefact import Extractor, ExtractorError
from spark_jobs.extractor.keras_weights import defaults
from spark_jobs.running.objects import open_root, read_whole

_LOG = logging.getLogger("shelf")


def address(root: str, extractor_id: str) -> str:
    """Return where the lake's workers find an artefact: a path, or an s3:// address."""
    return f"{root}/{_name(extractor_id)}"


def take(root: str, extractor_id: str) -> Extractor:
    """Read an artefact from the shelf.

    Raises
    ------
    ExtractorError
        It is not there.
    """
    try:
        return Extractor.from_bytes(read_whole(address(root, extractor_id)))
    except FileNotFoundError:
        raise ExtractorError(
            f"The lake's extractor {extractor_id} is not at {address(root, extractor_id)}: "
            "give its artefact with --extractor, or export it again into that folder."
        ) from None


def feature_and_views(root: str, extractor_id: str) -> tuple[str | None, int]:
    """Say what an extractor makes of its network's numbers, and how many views it merges."""
    try:
        extractor = take(root, extractor_id)
    except ExtractorError as error:
        _LOG.warning("%s Until then its embeddings are taken for a network's own, of one view.", error)
        return None, 1
    return extractor.spec.feature, len(extractor.views)


def load(artefact: str) -> Extractor:
    """Read an artefact: a file, the folder that holds it alone, or an s3:// address."""
    return Extractor.from_bytes(read_whole(artefact)) if artefact.startswith("s3://") else Extractor.load(artefact)


def put(root: str, extractor: Extractor) -> Extractor:
    """Put an artefact on the shelf, unless it is there; one without maps, which its id does not tell, is replaced."""
    store, name = open_root(root), _name(extractor.extractor_id)
    try:
        there = obstore.get(store, name).bytes().to_bytes()
    except FileNotFoundError:
        there = None
    if there is None or (extractor.has_maps and not Extractor.from_bytes(there).has_maps):
        obstore.put(store, name, extractor.to_bytes())
    return extractor


def put_default(root: str) -> Extractor:
    """Export the default architecture with ImageNet's weights, and put it on the shelf.

    Where Keras cannot fetch those it is the architecture whose weights are installed with us, which the log says.

    Raises
    ------
    ExtractorError
        Nothing can be exported here; the message says how to give an extractor.
    """
    for architecture in defaults():
        with tempfile.TemporaryDirectory() as folder:
            # A process of its own: tensorflow would stay in this one's memory, a gigabyte of it.
            command = [sys.executable, "-m", "spark_jobs.export_extractor", architecture, "--out", folder]
            done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                if architecture != DEFAULT:
                    _LOG.warning(
                        "The lake's extractor is %s with the weights of ImageNet that are installed with us, as Keras "
                        "cannot fetch those of %s here and no --extractor was given.",
                        architecture,
                        DEFAULT,
                    )
                return put(root, load(folder))
    _, found, message = done.stderr.rpartition("error: ")
    reason = message.strip() if found else done.stderr[-2000:]
    raise ExtractorError(
        f"No --extractor was given, and {architecture} of ImageNet cannot be exported here: {reason}\n"
        f"With weights in a file:\n  python -m spark_jobs.export_extractor {DEFAULT} --weights FILE --out DIR\n"
        "and then this command again with --extractor DIR."
    )


def _name(extractor_id: str) -> str:
    return f"extractors/{extractor_id}.zip"
