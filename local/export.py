"""Export: the default extractor's artefact, made once by a process beside us, from the weights that can be had here."""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.guarded import Guarded
from spark_jobs.extractor.architectures import DEFAULT
from spark_jobs.extractor.keras_weights import defaults

_ROOT = Path(__file__).parent.parent


class ExportError(RuntimeError):
    """The extractor could not be exported."""


@dataclass(frozen=True)
class Exported:
    """An artefact, and what it was made of: an architecture, and its weights as for ``export_extractor``."""

    artefact: Path
    architecture: str
    weights: str


class Export:
    """An export that goes on beside us; used as a context, it is stopped at the context's end.

    Parameters
    ----------
    folder : Path
        Where artefacts are kept; one that was made by the same code from the same weights is not made again.
    weights : str, optional
        Of the default architecture, as for ``export_extractor``. Default: ImageNet's, where they cannot be had of an
        architecture whose weights are installed with us.
    """

    def __init__(self, folder: Path, weights: str | None = None) -> None:
        self.folder = folder
        self.tries = [(DEFAULT, weights)] if weights else [(name, "imagenet") for name in defaults()]
        self._process: Guarded | None = None

    def __enter__(self) -> "Export":
        if self._kept() is None:
            self._start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.kill()

    @property
    def trying(self) -> tuple[str, str]:
        """The architecture and the weights that are tried now."""
        return self.tries[0]

    def result(self) -> Exported:
        """Wait for the artefact.

        Raises
        ------
        ExportError
            With what the export said.
        """
        while (kept := self._kept()) is None:
            if self._process is None:
                self._start()
            assert self._process is not None
            if self._process.wait() == 0:
                name = f"{self._output.read_text().split()[-1]}.zip"
                self._note.write_text(json.dumps({"made_of": self._made_of(), "artefact": name}))
            elif len(self.tries) == 1:
                raise ExportError(f"The extractor could not be exported:\n{self._log.read_text()[-2000:]}")
            else:
                del self.tries[0]
            self._process.kill()
            self._process = None
        return kept

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for file in (self._output, self._log):
            file.unlink(missing_ok=True)
        # A process of its own: tensorflow would stay in this one's memory.
        architecture, weights = self.trying
        command = [sys.executable, "-m", "spark_jobs.export_extractor", architecture, "--out", str(self.folder)]
        command += ["--weights", weights]
        self._process = Guarded.start(command, _ROOT, os.environ, self._log, self._output)

    @property
    def _output(self) -> Path:
        return self.folder / "export.out"

    @property
    def _log(self) -> Path:
        return self.folder / "export.log"

    @property
    def _note(self) -> Path:
        return self.folder / "exported.json"

    def _kept(self) -> Exported | None:
        if not self._note.exists():
            return None
        note = json.loads(self._note.read_text())
        artefact = self.folder / note["artefact"]
        return Exported(artefact, *self.trying) if note["made_of"] == self._made_of() and artefact.exists() else None

    def _made_of(self) -> Mapping[str, str]:
        """Name what an artefact depends on."""
        code = hashlib.sha256()
        for file in [*sorted((_ROOT / "spark_jobs").rglob("*.py")), _ROOT / "requirements.txt"]:
            code.update(file.read_bytes() if file.exists() else b"")
        architecture, weights = self.trying
        file = Path(weights)
        bytes_ = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
        return {"architecture": architecture, "weights": weights, "bytes": bytes_, "code": code.hexdigest()}
