"""Artefacts: what a deployment puts into the lake's bucket, each under a name of its content, so none is put twice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap import wheelhouse
from infra.environment import Environment
from infra.errors import InfraError
from infra.export import ROOT, Artefact, artefact
from orchard.aws import exists, split
from orchard.cluster import jobs

Tell = Callable[[str], None]
CODE = ROOT / "spark_jobs"


@dataclass(frozen=True)
class Upload:
    """Something to be put under an address, or that is there.

    Attributes
    ----------
    address, marker : str
        Where it goes, and the object there that is put last: where it is, all is.
    put : callable
        Given the S3 client, puts it.
    """

    what: str
    address: str
    marker: str
    size: int
    put: Callable[[Any], object]

    def __str__(self) -> str:
        return f"{self.what:10} {self.address}  ({self.size / 1e6:.1f} MB)"


@dataclass(frozen=True)
class Artefacts:
    """What was made on this machine, to be put into any lake."""

    extractor: Artefact
    wheels: Path

    @classmethod
    def make(cls, environment: Environment, folder: Path, tell: Tell) -> "Artefacts":
        """Export and download, unless an earlier deployment did; what takes long is told beforehand.

        Raises
        ------
        InfraError
            With what could not be made.
        """
        extractor = artefact(environment.extractor, folder / "extractors", tell)
        tell(f"Extractor {extractor.extractor_id}")
        kept = folder.parent / "wheelhouse"
        if _must_download(kept, environment):
            tell("Downloading the wheels of the nodes' Python; a minute or so")
        try:
            wheels = wheelhouse.build(kept, environment.architectures, environment.engine)
        except wheelhouse.WheelhouseError as error:
            raise InfraError(f"The wheels of the nodes' Python: {error}") from error
        tell(f"Wheels {wheels.name[:12]}, for {', '.join(environment.architectures)}")
        return cls(extractor, wheels)

    def uploads(self, lake: str) -> Iterator[Upload]:
        """Say what belongs into a lake, whether it is there or not."""
        path, extractor_id = self.extractor
        size, target = path.stat().st_size, f"{lake}/extractors/{extractor_id}.zip"
        yield Upload("extractor", target, target, size, lambda s3: s3.upload_file(str(path), *split(target)))
        size = sum(one.stat().st_size for one in self.wheels.iterdir())
        bootstrap = self.bootstrap(lake)
        marker = f"{bootstrap}/{wheelhouse.SUMS}"
        yield Upload("bootstrap", bootstrap, marker, size, lambda s3: wheelhouse.stage(s3, lake, self.wheels))
        package, digest = jobs.package(CODE)
        marker = f"{lake}/code/{CODE.name}-{digest}.zip"
        yield Upload("jobs", marker, marker, len(package), lambda s3: jobs.stage(s3, lake, CODE))

    def missing(self, s3: Any, lake: str) -> list[Upload]:
        """List what is not in the lake yet."""
        return [one for one in self.uploads(lake) if not exists(s3, one.marker)]

    def bootstrap(self, lake: str) -> str:
        """Return the address of the folder that nodes start from."""
        return f"{lake}/bootstrap/{self.wheels.name}"


def _must_download(kept: Path, environment: Environment) -> bool:
    """Say whether wheels are missing, of lists that there are."""
    for architecture in environment.architectures:
        name = wheelhouse.LISTS.get((environment.engine, architecture))
        had = [one.read_bytes() for one in kept.glob(f"*/requirements-{architecture}.txt")]
        if name and (ROOT / "bootstrap" / name).read_bytes() not in had:
            return True
    return False


def other_extractors(s3: Any, lake: str, extractor_id: str) -> list[str]:
    """List the extractors of a lake but one: with another than before, a run embeds every photo anew."""
    bucket, prefix = split(f"{lake}/extractors/")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    names = [Path(one["Key"]).name for page in pages for one in page.get("Contents", ())]
    return sorted(name.removesuffix(".zip") for name in names if name not in (f"{extractor_id}.zip", ""))
