"""Environment: what one deployment is, read from ``infra/environments/<name>.toml``; frozen, and refused when wrong."""

import functools
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from infra.errors import InfraError
from infra.parameters import DERIVED
from orchard.instances import INSTANCES
from orchard.mistakes import Mistake, Written, like, mistakes, one_of, refusal, rule, shown
from orchard.settings import A_REGION, Settings, SettingsError, in_the_eu
from spark_jobs.extractor.architectures import ARCHITECTURES, DEFAULT

FOLDER = Path(__file__).parent / "environments"
_NAME = r"^[a-z][a-z0-9]{0,15}$"  # the template's parameter Environment says the same
_EXPECTED_NAME = "1 to 16 lower-case letters and digits, a letter first"
# What must be there, until the stack's outputs say it.
_SOMEWHERE = {
    "lake": "s3://orchard/lake", "prefixes": ["s3://orchard/photos/"], "extractor": "mobilenet_v2-f32-000000000000",
}  # fmt: skip
# What the stack's outputs say, or the table of the file that is not [settings].
_DERIVED = frozenset(
    (
        "lake", "extractor", "database", "region", "outside_eu", "service_role", "instance_profile",
        "subnets", "primary_security_group", "core_security_group", "service_security_group",
        "security_configuration", "bootstrap", "python",
    )
)  # fmt: skip
_FOLLOWS = "none: it follows from the stack and from the rest of the file"


class Source(Written):
    """How the extractor's artefact is come by: an export, or a file."""

    architecture: Annotated[str, one_of(ARCHITECTURES)] = DEFAULT
    precision: Literal["f32", "int8"] = "f32"
    weights: str = "imagenet"
    artefact: str | None = None  # a file that was exported before, instead of all the rest
    calibrate: Annotated[
        str | None,
        rule(
            lambda folder, precision, file: file is not None or (precision == "int8") == (folder is not None),
            "a folder of photos with precision int8, and none with f32", "change one of the two",
            "precision", "artefact",
        ),
    ] = None  # fmt: skip


def _settings(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Judge settings beside what is known only when the stack is there."""
    derived = _DERIVED & given.keys()
    wrong = [Mistake((name,), shown(given[name]), _FOLLOWS, "take it out") for name in sorted(derived)]
    try:
        Settings.model_validate(_SOMEWHERE | {name: value for name, value in given.items() if name not in derived})
    except ValidationError as error:
        wrong += mistakes(error, Settings)
    if wrong:
        raise refusal(wrong)
    return MappingProxyType(dict(given))


class File(Written):
    """What the file of an environment says."""

    outside_eu: bool = False
    region: Annotated[
        str,
        A_REGION,
        in_the_eu("outside_eu = true"),
    ] = "eu-west-1"  # fmt: skip
    account: Annotated[str, like(r"^\d{12}$", "12 digits in quotes")] | None = None  # the only one to deploy into
    # Of the stack, beside `Environment` and `OutsideEu`.
    parameters: Annotated[
        Mapping[Annotated[str, rule(lambda name: name not in DERIVED, _FOLLOWS, "take it out")], str],
        AfterValidator(MappingProxyType),
    ] = Field({})
    extractor: Source = Source()
    settings: Annotated[Mapping[str, Any], AfterValidator(_settings)] = Field({})  # of Airflow's variable


class Environment(File):
    """One deployment: where, with which parameters of the stack, extractor and settings."""

    name: Annotated[str, like(_NAME, _EXPECTED_NAME)]

    @property
    def stack(self) -> str:
        """The stack's name."""
        return f"orchard-{self.name}"

    @property
    def engine(self) -> str:
        """The engine that the nodes run."""
        return Settings.parse(_SOMEWHERE | dict(self.settings)).engine

    @property
    def architectures(self) -> list[str]:
        """The nodes' architecture, as ``uname -m`` says it, in a list of one."""
        return [INSTANCES[Settings.parse(_SOMEWHERE | dict(self.settings)).types[0]].architecture]

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
            **({"events_queue": outputs["EventsQueue"]} if outputs.get("EventsQueue") else {}),
            **({"bootstrap": bootstrap} if bootstrap else {}),
            **self.settings,
            "tags": {"orchard:environment": self.name, **self.settings.get("tags", {})},
        }
        try:
            Settings.parse(values)
        except SettingsError as error:
            raise InfraError(str(error)) from error
        return values


def read(name: str, folder: Path = FOLDER) -> Environment:
    """Read an environment.

    Raises
    ------
    InfraError
        There is no such file, or it makes no sense.
    """
    if not re.fullmatch(_NAME, name):
        raise InfraError(f"ENV: got {shown(name)}, expected {_EXPECTED_NAME}; name another.")
    path = folder / f"{name}.toml"
    if not path.is_file():
        there = sorted(one.stem for one in folder.glob("*.toml") if one.stem != "example")
        raise InfraError(
            f"There is no {_short(path)}, which says what the environment {name} is. Make it, and look through it:\n"
            f"  cp {_short(FOLDER / 'example.toml')} {_short(path)}\n"
            f"Environments that are there: {', '.join(there) or 'none'}."
        )
    try:
        return Environment(name=name, **dict(File.model_validate(tomllib.loads(path.read_text("utf-8")))))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InfraError(f"{_short(path)} is no TOML: {error}") from error
    except ValidationError as error:
        raise InfraError("\n".join([f"{_short(path)}:", *map(str, mistakes(error, File))])) from None


@functools.cache
def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
