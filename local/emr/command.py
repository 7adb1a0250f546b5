"""What a step, or a bootstrap action, really runs on this machine."""

import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.emr import configuration, nameless, submission
from local.emr.access import Access, Node
from local.emr.iam import IamError
from local.emr.s3 import S3Error, is_s3
from local.emr.settings import Settings
from local.emr.state import Cluster, Step
from local.emr.store import Store

SCRIPT_RUNNER = re.compile(r"(s3[na]?://([a-z0-9-]+\.)?elasticmapreduce/libs/script-runner/)?script-runner\.jar")
TEMPORARY = "tmp"  # beside the folder where a step runs
COMMAND_RUNNER = re.compile(r"(/var/lib/aws/emr/step-runner/hadoop-jars/)?command-runner\.jar")
# What ``aws emr create-cluster --enable-debugging`` adds as the first step, in either of its ways. EMR completes it.
STATE_PUSHER = re.compile(r"state-pusher-script|s3[na]?://([a-z0-9-]+\.)?elasticmapreduce/libs/state-pusher/\S+")


class CommandError(RuntimeError):
    """A step cannot be run; `reason` is what FailureDetails calls it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Command:
    """A program with its arguments and its environment."""

    arguments: Sequence[str]
    environment: Mapping[str, str]

    def __str__(self) -> str:
        return shlex.join(self.arguments)


@dataclass(frozen=True)
class Commands:
    """Makes commands: fetches what they need from S3."""

    settings: Settings
    store: Store
    access: Access

    def of_step(self, cluster: Cluster, step: Step, folder: Path) -> Command:
        """Prepare a step in the folder where it will run.

        Raises
        ------
        CommandError
            When it cannot be run.
        """
        jar = step.request["HadoopJarStep"]["Jar"].strip()
        arguments = list(step.request["HadoopJarStep"].get("Args", ()))
        if not COMMAND_RUNNER.fullmatch(jar) and not SCRIPT_RUNNER.fullmatch(jar):
            raise CommandError(
                "Unknown jar.",
                f"This local EMR runs command-runner.jar and script-runner.jar, not {jar}: there is no Hadoop here. "
                "Run a jar of your own with command-runner.jar and spark-submit.",
            )
        if not arguments:
            raise CommandError("No arguments.", f"{jar} needs arguments: the program to run, then its own.")
        try:
            node = self.access.node(cluster)
            if STATE_PUSHER.fullmatch(arguments[0]):
                return Command(["echo", "Nothing to set up: steps and logs can always be looked at."], {})
            if SCRIPT_RUNNER.fullmatch(jar):
                return self.of_script(cluster, node, arguments[0], arguments[1:], folder)
            if Path(arguments[0]).name == "spark-submit":
                return self._submit(cluster, node, arguments[1:], folder)
        except IamError as error:
            raise CommandError("No credentials.", str(error)) from error
        except (S3Error, submission.SubmissionError, OSError, shutil.ReadError) as error:
            raise CommandError("Artefact not found or not usable.", str(error)) from error
        environment = self._environment(cluster, node)
        _must_be_here(arguments[0], environment["PATH"])
        return Command(arguments, environment)

    def of_script(self, cluster: Cluster, node: Node, script: str, arguments: Sequence[str], folder: Path) -> Command:
        """Prepare a script that lies in S3, or here.

        Raises
        ------
        S3Error, OSError
            When it cannot be had.
        """
        path = Path(script.removeprefix("file://"))
        if is_s3(script):
            path = node.s3.fetch(script, folder / script.rpartition("/")[2])
            path.chmod(0o755)
        elif not path.is_file():
            raise FileNotFoundError(f"{script} is no file on this machine, and no address in S3.")
        # As EMR does, a script without a first line that says otherwise is the shell's.
        with path.open("rb") as file:
            runs_itself = file.read(4).startswith((b"#!", b"\x7fELF"))
        start = [str(path)] if runs_itself and os.access(path, os.X_OK) else ["bash", str(path)]
        return Command([*start, *arguments], self._environment(cluster, node))

    def _submit(self, cluster: Cluster, node: Node, arguments: Sequence[str], folder: Path) -> Command:
        found = submission.parse(arguments)
        defaults = configuration.merged(cluster, "spark-defaults")
        if found.properties:  # instead of the defaults, as with Spark's own
            path = Path(found.properties)
            if is_s3(found.properties):
                path = node.s3.fetch(found.properties, folder / path.name)
            defaults = dict(_properties(path))
        base = configuration.base_settings(self.settings, self.store)
        settings = configuration.spark_settings(base, defaults, found.settings)
        settings |= _temporary(folder.parent / TEMPORARY, settings["spark.driver.extraJavaOptions"])
        path = folder.parent / "spark.properties"
        rest = submission.bring_here(found, folder, node.s3.fetch)
        environment = {
            **configuration.environment(cluster, self.settings, self.store.folder(cluster), defaults | found.settings),
            **node.environment,
        }
        if user := nameless.name():
            return _by_python(user, submission.parse(rest), settings, path, environment)
        configuration.write_properties(settings, path)
        program = str(configuration.spark_home() / "bin" / "spark-submit")
        return Command([program, "--properties-file", str(path), *rest], environment)

    def _environment(self, cluster: Cluster, node: Node) -> dict[str, str]:
        """Make the environment of a script: a spark-submit in it finds this machine's defaults."""
        base = configuration.base_settings(self.settings, self.store)
        defaults = configuration.merged(cluster, "spark-defaults")
        folder = self.store.folder(cluster)
        settings = configuration.spark_settings(base, defaults)
        configuration.write_properties(settings, folder / "conf" / "spark-defaults.conf")
        environment = configuration.environment(cluster, self.settings, folder, defaults)
        return environment | {"SPARK_CONF_DIR": str(folder / "conf"), **node.environment}


def _must_be_here(program: str, path: str) -> None:
    """Refuse a program that only EMR's machines have; one in the step's own folder is looked for when it runs."""
    looked_up = "/" not in program or os.path.isabs(program)
    # pyspark brings run-example, and no examples.
    if Path(program).name == "run-example" or (looked_up and shutil.which(program, path=path) is None):
        raise CommandError(
            "Unknown program.",
            f"There is no {program} here: this local EMR runs spark-submit, and what is on the PATH of this machine; "
            "there is no Hadoop. Make the step one of spark-submit, or bring a script with script-runner.jar.",
        )


def _by_python(
    user: str, found: submission.Submission, settings: Mapping[str, str], path: Path, environment: Mapping[str, str]
) -> Command:
    """Let a script start Spark, rather than Spark the script: see `nameless`. What it needs is brought here already."""
    if not found.resource or not found.resource[0].endswith(".py"):
        raise submission.SubmissionError(
            f"spark-submit: the user of this server, {user}, has no name on this machine, and Hadoop asks for it: only "
            "Python scripts can be run. Start the server as a user who has one."
        )
    classes = [settings.get("spark.driver.extraClassPath", ""), *found.files.get("--jars", ())]
    java = f"{settings['spark.driver.extraJavaOptions']} -Duser.name={user} -Duser.home='{path.parent / TEMPORARY}'"
    more = {
        "spark.driver.extraClassPath": os.pathsep.join(filter(None, classes)),
        "spark.driver.extraJavaOptions": java,
    }
    configuration.write_properties({**settings, **more}, path)
    libraries = sorted(map(str, (configuration.spark_home() / "python" / "lib").glob("*.zip")))
    python = settings.get("spark.pyspark.driver.python", environment["PYSPARK_PYTHON"])
    arguments = [*found.options, "--properties-file", str(path), "pyspark-shell"]
    given = {
        "PYSPARK_SUBMIT_ARGS": shlex.join(arguments),
        "PYTHONPATH": os.pathsep.join([*found.files.get("--py-files", ()), *libraries]),
        "SPARK_HOME": str(configuration.spark_home()),
    }
    files = ",".join(found.files.get("--files", ()))
    return Command([python, nameless.__file__, files, *found.resource], {**environment, **given})


def _temporary(folder: Path, java: str) -> dict[str, str]:
    """Let Spark put what it may leave when it is killed where the step's end removes it."""
    folder.mkdir(exist_ok=True)
    return {
        "spark.local.dir": str(folder),
        "spark.driver.extraJavaOptions": f"-Djava.io.tmpdir='{folder}' {java}",
    }


def _properties(path: Path) -> Mapping[str, str]:
    """Read Spark's properties: a key, then an equals sign, a colon or a blank, then the value."""
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    pairs = (re.split(r"\s*[=:\s]\s*", line, maxsplit=1) for line in lines if line and line[0] not in "#!")
    return {pair[0]: pair[1] if len(pair) > 1 else "" for pair in pairs}
