"""``spark-submit`` for a cluster, made into one for this machine."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local.emr.s3 import is_s3

FLAGS = ("--help", "-h", "--supervise", "--usage-error", "--verbose", "-v", "--version")
# Options that name files, and the setting that is their other name.
FILES = {
    "--archives": "spark.archives",
    "--files": "spark.files",
    "--jars": "spark.jars",
    "--py-files": "spark.submit.pyFiles",
}
# Options about machines, queues and users that are not here.
ELSEWHERE = (
    *("--master", "--deploy-mode", "--num-executors", "--executor-memory", "--executor-cores"),
    *("--total-executor-cores", "--driver-cores", "--queue", "--principal", "--keytab", "--proxy-user"),
)
# Where a release of EMR keeps jars that `jars_dir` holds here.
_OF_THE_RELEASE = ("/usr/lib/", "/usr/share/aws/")


class SubmissionError(ValueError):
    """The arguments of spark-submit make no sense."""


@dataclass
class Submission:
    """What a command line of spark-submit says.

    Attributes
    ----------
    settings : dict
        Its ``--conf``, and ``--driver-memory``.
    options : list of str
        Options that stay as they are.
    files : dict
        Option to addresses: ``--py-files`` and its like.
    resource : list of str
        The script or jar, and its own arguments.
    """

    settings: dict[str, str] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)
    properties: str | None = None
    resource: list[str] = field(default_factory=list)


def parse(arguments: Sequence[str]) -> Submission:
    """Read the arguments of spark-submit.

    Raises
    ------
    SubmissionError
        When an option lacks its value, or nothing is left to run.
    """
    found = Submission()
    left = list(arguments)
    while left and left[0].startswith("-"):
        option = left.pop(0)
        if option in FLAGS:
            found.options.append(option)
            continue
        option, equals, value = option.partition("=")
        if not equals:
            if not left:
                raise SubmissionError(f"spark-submit: the option {option} lacks its value.")
            value = left.pop(0)
        if option in ("--conf", "-c"):
            key, equals, value = value.partition("=")
            if not equals:
                raise SubmissionError(f"spark-submit: --conf {key!r}, expected KEY=VALUE.")
            found.settings[key] = value
        elif option == "--driver-memory":
            found.settings["spark.driver.memory"] = value
        elif option == "--properties-file":
            found.properties = value
        elif option in FILES:
            found.files[option] = _listed(value)
        elif option not in ELSEWHERE:
            found.options += [option, value]
    for option, name in FILES.items():
        if name in found.settings:
            found.files.setdefault(option, _listed(found.settings.pop(name)))
    if not left and not found.options:
        raise SubmissionError(f"spark-submit: no script and no jar in {' '.join(arguments)!r}.")
    found.resource = left
    return found


def bring_here(found: Submission, folder: Path, fetch: Callable[[str, Path], Path]) -> list[str]:
    """Fetch what lies in S3 into the folder where the step runs; return spark-submit's arguments for it.

    On YARN, ``--files`` and ``--archives`` stand in the folder where driver and workers run: so they do here.

    Raises
    ------
    SubmissionError
        When the script or jar is one that only EMR's machines have.
    """
    arguments = list(found.options)
    for option, addresses in found.files.items():
        local = [
            _bring(address, folder / option.strip("-"), fetch)
            for address in addresses
            if not address.startswith(_OF_THE_RELEASE)
        ]
        if option == "--archives":
            for address, path in zip(addresses, local, strict=True):
                path, _, name = path.partition("#")
                shutil.unpack_archive(path, folder / (name or Path(address).name))
            continue
        if option == "--files":
            for path in local:
                shutil.copy(path.partition("#")[0], folder / (path.partition("#")[2] or Path(path).name))
        if local:
            arguments += [option, ",".join(local)]
    if found.resource:
        if found.resource[0].startswith(_OF_THE_RELEASE) and not Path(found.resource[0]).exists():
            raise SubmissionError(
                f"spark-submit: {found.resource[0]} is a file of EMR's own machines, and there is none here: "
                "put a copy into S3, and name that."
            )
        arguments += [_bring(found.resource[0], folder, fetch), *found.resource[1:]]
    return arguments


def _bring(address: str, folder: Path, fetch: Callable[[str, Path], Path]) -> str:
    uri, hash_, name = address.partition("#")
    if not is_s3(uri):
        return address
    return f"{fetch(uri, folder / uri.rpartition('/')[2])}{hash_}{name}"


def _listed(value: str) -> list[str]:
    return [each.strip() for each in value.split(",") if each.strip()]
