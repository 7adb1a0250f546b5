"""Doctor: ``python -m orchard doctor``, run where Airflow runs: is all there that a run needs, and if not, what to do.

Nothing is changed. It asks with Airflow's own credentials, and so sees what a run would see.
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchard.commands import command_settings
from orchard.commands.checks import FAILED, OK, UNKNOWN, Finding, Subject, run_check
from orchard.settings import SettingsError

_NAME, _STATE = 24, 8  # columns


def main(argv: Sequence[str]) -> int:
    """Check everything; return 1 when something failed."""
    parser = argparse.ArgumentParser(prog="python -m orchard doctor", description=__doc__)
    parser.add_argument("--settings", type=Path, metavar="FILE", help="JSON of the settings, instead of the variable")
    parser.add_argument("--json", action="store_true", help="a list of findings, for programs")
    options = parser.parse_args(argv)
    command_settings.as_airflow()
    # That there is no connection, and the like, is no news here. Airflow reads this when it is imported, below.
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
    findings = []
    for finding in examine(options.settings):
        findings.append(finding)
        if not options.json:
            print(_lines(finding), flush=True)
    states = [finding.state for finding in findings]
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        print("\n" + ", ".join(f"{states.count(one)} {one}" for one in (OK, FAILED, UNKNOWN) if one in states) + ".")
    return 1 if FAILED in states else 0


def examine(file: Path | None = None) -> Iterator[Finding]:
    """Yield the findings, one after the other.

    Parameters
    ----------
    file : Path, optional
        The settings as JSON; default: Airflow's variable.
    """
    from orchard.commands.checks import account, table

    try:
        settings = command_settings.of_airflow() if file is None else command_settings.of_file(file)
    except SettingsError as error:
        remedy = "`make deploy ENV=<env>` in Orchard's repository prints the variable `orchard` as it should be."
        if file is not None:
            remedy = "Name another file, or mend this one; without --settings it is Airflow's variable `orchard`."
        yield Finding("settings", FAILED, str(error), remedy)
        return
    yield Finding("settings", OK, f"lake {settings.root}, extractor {settings.extractor}")
    subject = Subject(settings, lambda service: _client(service, settings.region))
    for check in table.HERE:
        yield run_check(check, subject)
    yield (who := run_check(account.CREDENTIALS, subject))
    for check in table.THERE:
        yield run_check(check, subject) if who.state == OK else Finding(check.name, UNKNOWN, "needs credentials")


def _client(service: str, region: str) -> Any:
    """Open a client as a run does, but one that does not wait long for an AWS that does not answer."""
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
    from botocore.config import Config

    from orchard.aws import CONNECTION

    config = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=30)
    return AwsGenericHook(aws_conn_id=CONNECTION, client_type=service, region_name=region, config=config).conn


def _lines(finding: Finding) -> str:
    first, *more = "\n".join(filter(None, [finding.found, finding.remedy])).split("\n")
    line = f"{finding.check:{_NAME}}{finding.state:{_STATE}}{' ' * (len(finding.state) >= _STATE)}{first}"
    return "\n".join([line, *(" " * (_NAME + _STATE) + one for one in more)])
