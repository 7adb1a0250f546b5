"""Environment: what one deployment is, read from ``infra/environments/<name>.toml``; frozen, and refused when wrong."""

import functools
import itertools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import botocore.session

from infra.errors import InfraError
from infra.parameters import DERIVED, check_text
from orchard.instances import INSTANCES
from orchard.settings import EU_REGIONS, Settings, SettingsError
from spark_jobs.extractor.architectures import ARCHITECTURES, DEFAULT

FOLDER = Path(__file__).parent / "environments"
_NAME = re.compile(r"[a-z][a-z0-9]{0,15}")  # the template's parameter Environment says the same
_EXPECTED_NAME = "1 to 16 lower-case letters and digits, a letter first"
# What the stack's outputs say, or the table of the file that is not [settings].
_DERIVED = frozenset(
    (
        "lake", "extractor", "database", "region", "outside_eu", "service_role", "instance_profile",
        "subnets", "primary_security_group", "core_security_group", "service_security_group",
        "security_configuration", "bootstrap", "python",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """How the extractor's artefact is come by: an export, or a file."""

    architecture: str = DEFAULT
    precision: str = "f32"
    weights: str = "imagenet"
    calibrate: str | None = None  # int8: a folder of photos
    artefact: str | None = None  # a file that was exported before, instead of all the above

    def __post_init__(self) -> None:
        """Refuse what cannot be exported."""
        _expect(self.architecture in ARCHITECTURES, "extractor.architecture", list(ARCHITECTURES), self.architecture)
        _expect(self.precision in ("f32", "int8"), "extractor.precision", "f32 or int8", self.precision)
        if self.artefact is None:
            _expect(
                (self.precision == "int8") == (self.calibrate is not None), "extractor.calibrate",
                "a folder of photos with precision int8, and none with f32", self.calibrate,
            )  # fmt: skip


@dataclass(frozen=True)
class Environment:
    """One deployment: where, with which parameters of the stack, extractor and settings."""

    name: str
    region: str = "eu-west-1"
    outside_eu: bool = False
    account: str | None = None  # the only one to deploy into
    parameters: Mapping[str, str] = field(default_factory=dict)  # of the stack, beside `Environment` and `OutsideEu`
    extractor: Source = field(default_factory=Source)
    settings: Mapping[str, Any] = field(default_factory=dict)  # of Airflow's variable, beside what follows

    def __post_init__(self) -> None:
        """Refuse what cannot be meant, before anything is asked of AWS."""
        _expect(_NAME.fullmatch(self.name), "ENV", _EXPECTED_NAME, self.name)
        if self.region not in _regions():
            raise InfraError(
                f"region: there is no region {self.region} that boto knows of; those in the EU are "
                f"{', '.join(EU_REGIONS)}."
            )
        if self.region not in EU_REGIONS and not self.outside_eu:
            raise InfraError(
                f"region: {self.region} is outside the EU, where the data are to stay; expected one of "
                f"{', '.join(EU_REGIONS)}. If that is meant, say so outright: outside_eu = true."
            )
        _expect(self.account is None or re.fullmatch(r"\d{12}", self.account), "account", "12 digits", self.account)
        for one in DERIVED:
            _expect(one not in self.parameters, f"parameters.{one}", "none: it follows from the rest", "one")
        if derived := sorted(_DERIVED & self.settings.keys()):
            raise InfraError(
                f"settings: {', '.join(derived)} follow from the stack and from the rest of the file, "
                "and are not to be said again."
            )
        self.variable({"Lake": "s3://orchard/lake", "Photos": "s3://orchard/photos/"}, "mobilenet_v2-f32-000000000000")

    @property
    def stack(self) -> str:
        """The stack's name."""
        return f"orchard-{self.name}"

    @property
    def engine(self) -> str:
        """The engine that the nodes run."""
        return str(self.settings.get("engine", Settings.engine))

    @property
    def architectures(self) -> list[str]:
        """The nodes' architecture, as ``uname -m`` says it, in a list of one."""
        given = self.settings
        types = given.get("instance_types") or [given.get("instance_type", Settings.instance_type)]
        return sorted({INSTANCES[one].architecture for one in types})

    def variable(self, outputs: Mapping[str, str], extractor_id: str, bootstrap: str | None = None) -> dict[str, Any]:
        """Put the Airflow variable ``orchard`` together from the stack's outputs; only what is no default.

        Raises
        ------
        InfraError
            The settings of the file make no sense.
        """
        outputs_of = {
            "database": "Database",
            "service_role": "ServiceRole",
            "instance_profile": "NodeProfile",
            "primary_security_group": "PrimarySecurityGroup",
            "core_security_group": "CoreSecurityGroup",
            "service_security_group": "ServiceSecurityGroup",
            "security_configuration": "SecurityConfiguration",
        }
        values = {
            "lake": outputs["Lake"],
            "prefixes": [outputs["Photos"]],
            "extractor": extractor_id,
            "region": self.region,
            **({"outside_eu": True} if self.outside_eu else {}),
            # EMR wants a profile's name; CloudFormation's Ref may give more.
            **{name: outputs[output].rpartition("/")[2] for name, output in outputs_of.items() if outputs.get(output)},
            **({"subnets": outputs["Subnets"].split(",")} if outputs.get("Subnets") else {}),
            **({"bootstrap": bootstrap} if bootstrap else {}),
            **self.settings,
            "tags": {"orchard:environment": self.name, **self.settings.get("tags", {})},
        }
        try:
            Settings.parse(values)
        except SettingsError as error:
            raise InfraError(f"settings: {error}") from error
        return values


def read(name: str, folder: Path = FOLDER) -> Environment:
    """Read an environment.

    Raises
    ------
    InfraError
        There is no such file, or it makes no sense.
    """
    _expect(_NAME.fullmatch(name), "ENV", _EXPECTED_NAME, name)
    path = folder / f"{name}.toml"
    if not path.is_file():
        there = sorted(one.stem for one in folder.glob("*.toml") if one.stem != "example")
        raise InfraError(
            f"There is no {_short(path)}, which says what the environment {name} is. Make it, and look through it:\n"
            f"  cp {_short(FOLDER / 'example.toml')} {_short(path)}\n"
            f"Environments that are there: {', '.join(there) or 'none'}."
        )
    try:
        given = tomllib.loads(path.read_text("utf-8"))
        extractor = Source(**_typed("extractor.", Source, given.pop("extractor", {})))
        return Environment(name, **_typed("", Environment, given), extractor=extractor)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InfraError(f"{_short(path)} is no TOML: {error}") from error
    except InfraError as error:
        raise InfraError(f"{_short(path)}: {error}") from None


def _typed(table: str, kind: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check the names and types of a table of the file."""
    known = {one.name: one.type for one in fields(kind) if one.name != "name"}  # which is the file's
    if unknown := sorted(given.keys() - known.keys()):
        raise InfraError(f"{table}{', '.join(unknown)}: unknown; expected some of {', '.join(sorted(known))}.")
    values: dict[str, Any] = {}
    for name, value in given.items():
        expected: dict[Any, tuple[str, bool]] = {
            bool: ("true or false", isinstance(value, bool)),
            Mapping[str, str]: ("a table", isinstance(value, dict)),
            Mapping[str, Any]: ("a table", isinstance(value, dict)),
        }
        what, holds = expected.get(known[name], ("a string", isinstance(value, str)))
        _expect(holds, f"{table}{name}", what, value)
        if known[name] == Mapping[str, str]:
            check_text(f"{table}{name}", value)
        values[name] = value
    return values


@functools.cache
def _regions() -> frozenset[str]:
    """Return all regions that boto knows, in all partitions."""
    session = botocore.session.get_session()
    names = (session.get_available_regions("ec2", one) for one in session.get_available_partitions())
    return frozenset(itertools.chain.from_iterable(names))


def _expect(holds: Any, name: str, expected: Any, got: Any) -> None:
    if not holds:
        raise InfraError(f"{name}: expected {expected}, got {got!r}.")


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
