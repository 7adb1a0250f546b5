"""Environments for tests: the file, and beside it what a deployment would otherwise make for minutes."""

import uuid
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bootstrap.wheelhouse import LISTS
from infra.__main__ import main
from spark_jobs.extractor.artefact import Extractor, Spec
from tests.artefacts import REPOSITORY
from tests.bootstrap.small import fold, tar

ACCOUNT = "000000000000"


@dataclass(frozen=True)
class Place:
    """An environment's name, its file and the folder of what is made for it."""

    root: Path
    env: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:8]}")

    @property
    def bucket(self) -> str:
        return f"orchard-{self.env}-{ACCOUNT}-eu-west-1"

    def write(self, more: str = "", **top: str) -> "Place":
        """Write the environment's file: an artefact that is there, and whatever else is given."""
        self.root.mkdir(exist_ok=True)
        lines = [f"{name} = {value}" for name, value in top.items()]
        artefact = f'[extractor]\nartefact = "{small_artefact(self.root)}"\n'
        (self.root / f"{self.env}.toml").write_text(
            "\n".join([*lines, "" if "[extractor]" in more else artefact, more])
        )
        return self

    def run(self, command: str, *arguments: str, env: str | None = None) -> int:
        """Give a command of `python -m infra`."""
        folders = ["--environments", str(self.root), "--folder", str(self.root / "deploy")]
        return main([command, env or self.env, *folders, *arguments])

    def deploy(self, template: str, *arguments: str) -> int:
        """Deploy a template."""
        path = self.root / "template"
        path.write_text(template)
        return self.run("deploy", "--template", str(path), *arguments)


def small_artefact(folder: Path) -> Path:
    """Write an artefact that is whole, and whose model nothing could run."""
    spec = Spec(
        architecture="mobilenet_v2",
        precision="f32",
        input_size=(224, 224),
        dimension=1280,
        photo_recipe={},
        preprocessing="none",
        weights_sha256="0",
        quantised_sha256=None,
        tolerance=0.99999,
        norm_tolerance=0.001,
        versions={},
    )
    extractor = Extractor(spec, b"xml", b"bin", None, b"jpg", np.zeros(1280, np.float32))
    path = folder / "artefact.zip"
    path.write_bytes(extractor.to_bytes())
    return path


def small_wheels(folder: Path) -> Path:
    """Write a wheelhouse of the pinned lists, in which no wheel is: a deployment takes it for one made before."""
    files = {"install.sh": (REPOSITORY / "bootstrap" / "install.sh").read_bytes()}
    for (engine, architecture), name in LISTS.items():
        if engine == "openvino":
            files[f"requirements-{architecture}.txt"] = (REPOSITORY / "bootstrap" / name).read_bytes()
            files[f"wheels-{architecture}.tar"] = tar({})
    return fold(folder, files)
