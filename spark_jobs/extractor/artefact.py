"""The artefact: an extractor as one file, written at export and read by every worker.

It holds the model in the form of each engine, a spec that says everything about it, and a test image with the
embedding that it must give. What runs it is in `spark_jobs.extractor.engines`.
"""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
# Numbers of fewer bits than f32, in OpenVINO's XML.
_LESS = re.compile(rb'(?:element_type|precision)="(b?fp?(?:16|8|4)\w*|nf4)"', re.IGNORECASE)


class ExtractorError(RuntimeError):
    """An artefact that cannot be read, or that computes something else here than where it was exported."""


@dataclass(frozen=True)
class Spec:
    """All that an artefact says about itself; equal specs give equal embeddings."""

    architecture: str
    precision: str  # f32 or int8
    input_size: tuple[int, int]  # width and height in pixels
    dimension: int
    photo_recipe: Mapping[str, Any]  # how bytes become pixels: spark_jobs.extractor.photos.RECIPE at export
    preprocessing: str  # the function that turns pixels into the network's input; part of the model's graph
    weights_sha256: str  # of the values in order, not of the file that they came in
    quantised_sha256: str | None  # int8: of the quantised constants, which depend on the photos to calibrate with
    tolerance: float  # the least cosine between the test image's embedding on a worker and at export
    norm_tolerance: float  # the greatest relative difference of their norms
    versions: Mapping[str, str]  # the libraries at export, to compare with when an embedding is wrong
    views: tuple[tuple[int, int], ...] = ()  # where there are several: sizes at which the photo is seen, merged by mean
    mirror: bool = False  # whether each view is seen from left to right, too, merged likewise
    feature: str | None = None  # of each view's numbers, before they are merged: sqrt
    crop: float | None = None  # the share of a photo that is seen: spark_jobs.extractor.crop; none: all, squeezed

    @property
    def extractor_id(self) -> str:
        """``<architecture>-<precision>-<12 hex>``: the hash of everything that decides the numbers."""
        decisive = {
            name: value
            for name, value in asdict(self).items()
            if name not in ("tolerance", "norm_tolerance", "versions")
            # Artefacts from before keep their ids.
            and not (name in ("views", "mirror", "feature", "crop") and not value)
        }
        canonical = json.dumps(decisive, sort_keys=True, separators=(",", ":"))
        return f"{self.architecture}-{self.precision}-{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, eq=False)
class Extractor:
    """A loaded artefact: its spec, the model in the form of each engine, and the test."""

    spec: Spec
    model_xml: bytes = field(repr=False)  # OpenVINO IR, preprocessing included
    model_bin: bytes = field(repr=False)
    model_keras: bytes | None = field(repr=False)  # the Keras model, preprocessing included; f32 only
    test_image: bytes = field(repr=False)  # a JPEG
    test_embedding: FloatArray = field(repr=False)  # ndarray of shape (dimension,)

    @property
    def extractor_id(self) -> str:
        return self.spec.extractor_id

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.spec.input_size

    @property
    def views(self) -> tuple[tuple[int, int], ...]:
        """Width and height in pixels of each input of the model."""
        return self.spec.views or (self.spec.input_size,)

    @property
    def dimension(self) -> int:
        return self.spec.dimension

    @property
    def precision(self) -> str:
        return self.spec.precision

    @property
    def has_maps(self) -> bool:
        """Whether the model has maps of places beside the embedding; older artefacts have none."""
        return self.model_xml.count(b'type="Result"') > 1

    @classmethod
    def from_bytes(cls, data: bytes) -> "Extractor":
        """Read an artefact.

        Raises
        ------
        ExtractorError
            If it is no artefact, or its contents are not what its id says.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = {name: archive.read(name) for name in archive.namelist()}
            said = json.loads(members["extractor.json"])
            said_id = said.pop("extractor_id")
            extractor = cls(
                spec=Spec(
                    **{
                        **said,
                        "input_size": tuple(said["input_size"]),
                        "views": tuple(map(tuple, said.get("views", ()))),
                    }
                ),
                model_xml=members["model.xml"],
                model_bin=members["model.bin"],
                model_keras=members.get("model.keras"),
                test_image=members["test.jpg"],
                test_embedding=np.load(io.BytesIO(members["test_embedding.npy"]), allow_pickle=False),
            )
        except (zipfile.BadZipFile, KeyError, TypeError, ValueError, EOFError) as error:
            raise ExtractorError(
                f"Not an extractor's artefact, or a damaged one ({type(error).__name__}: {error}); "
                "expected a file written by `python -m spark_jobs.export_extractor`: export it again"
            ) from error
        if said_id != extractor.extractor_id:
            raise ExtractorError(
                f"The artefact calls itself {said_id}, but its spec makes it {extractor.extractor_id}: export it again"
            )
        extractor.check_numbers()
        return extractor

    def check_numbers(self) -> None:
        """Check that an f32 artefact computes in f32, in the form of each engine.

        Raises
        ------
        ExtractorError
            It holds, or computes, numbers of fewer bits.
        """
        less = {kind.decode().lower() for kind in _LESS.findall(self.model_xml)}
        if b"float16" in (self.model_keras or b""):  # mixed_float16 and bfloat16, too
            less.add("float16")
        if self.precision == "f32" and less:
            raise ExtractorError(
                f"The artefact {self.extractor_id} calls itself f32, but has numbers of {', '.join(sorted(less))}: "
                "export it again"
            )

    def to_bytes(self) -> bytes:
        """Write the artefact; the same extractor gives the same bytes.

        Raises
        ------
        ExtractorError
            See `check_numbers`.
        """
        self.check_numbers()
        embedding = io.BytesIO()
        np.save(embedding, self.test_embedding, allow_pickle=False)
        members = {
            "extractor.json": json.dumps({"extractor_id": self.extractor_id, **asdict(self.spec)}, indent=2).encode(),
            "model.xml": self.model_xml,
            "model.bin": self.model_bin,
            **({"model.keras": self.model_keras} if self.model_keras is not None else {}),
            "test.jpg": self.test_image,
            "test_embedding.npy": embedding.getvalue(),
        }
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name), content)  # without a date: 1980-01-01
        return target.getvalue()

    @classmethod
    def load(cls, path: str | Path) -> "Extractor":
        """Read a local artefact: the file itself, or the folder that holds it and no other."""
        path = Path(path)
        found = sorted(path.glob("*.zip")) if path.is_dir() else [path]
        if len(found) != 1:
            names = "".join(f"\n  {name}" for name in found)
            raise ExtractorError(
                f"Expected exactly one artefact (*.zip) in {path}, got {len(found)}{names or ' of them'}"
            )
        if not found[0].is_file():
            raise ExtractorError(f"No such artefact: {path}; `python -m spark_jobs.export_extractor` makes one")
        return cls.from_bytes(found[0].read_bytes())
