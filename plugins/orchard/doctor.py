"""Doctor: ``python -m orchard doctor``, run where Airflow runs: is all there that a run needs, and if not, what to do.

Nothing is changed. It asks with Airflow's own credentials, and so sees what a run would see.
"""

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchard.checks import (
    FAILED,
    OK,
    UNKNOWN,
    Check,
    Finding,
    Subject,
    access,
    account,
    cluster,
    network,
    run_check,
    storage,
)
from orchard.checks import airflow as airflow_checks
from orchard.settings import Settings, SettingsError, read_settings

HERE: tuple[Check, ...] = airflow_checks.CHECKS  # ask nothing of AWS
THERE: tuple[Check, ...] = (
    *account.CHECKS, *storage.CHECKS, *access.CHECKS, *network.CHECKS, *cluster.CHECKS,
)  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Check everything; return 1 when something failed."""
    parser = argparse.ArgumentParser(prog="python -m orchard doctor", description=__doc__)
    parser.add_argument("--settings", type=Path, metavar="FILE", help="JSON of the settings, instead of the variable")
    parser.add_argument("--json", action="store_true", help="a list of findings, for programs")
    options = parser.parse_args(argv)
    # As Airflow's own commands do: variables and connections are then looked for in its database, too.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    # That there is no connection, and the like, is no news: the findings say what matters. Read as Airflow is imported.
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
    import airflow.settings  # noqa: F401

    findings = []
    for finding in examine(options.settings):
        findings.append(finding)
        if not options.json:
            print(_lines(finding), flush=True)
    states = [finding.state for finding in findings]
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        counts = ", ".join(f"{states.count(state)} {state}" for state in (OK, FAILED, UNKNOWN) if state in states)
        print(f"\n{counts}.")
    return 1 if FAILED in states else 0


def examine(file: Path | None = None) -> Iterator[Finding]:
    """Yield the findings, one after the other.

    Parameters
    ----------
    file : Path, optional
        The settings as JSON; default: Airflow's variable.
    """
    try:
        settings = read_settings() if file is None else Settings.parse(json.loads(file.read_text()))
    except (SettingsError, OSError, ValueError) as error:
        yield Finding("settings", FAILED, str(error), "Mend the variable `orchard`: `make deploy ENV=<env>` prints it.")
        return
    yield Finding("settings", OK, f"lake {settings.root}, extractor {settings.extractor}")
    subject = Subject(settings, lambda service: _client(service, settings.region))
    for check in HERE:
        yield run_check(check, subject)
    yield (who := run_check(account.CREDENTIALS, subject))
    for check in THERE:
        yield run_check(check, subject) if who.state == OK else Finding(check.name, UNKNOWN, "needs credentials")


def _client(service: str, region: str) -> Any:
    """Open a client as a run does, but one that does not wait long for an AWS that does not answer."""
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
    from botocore.config import Config

    from orchard.aws import CONNECTION

    config = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=30)
    return AwsGenericHook(aws_conn_id=CONNECTION, client_type=service, region_name=region, config=config).conn


def _lines(finding: Finding) -> str:
    width = max(len(check.name) for check in (*HERE, *THERE))
    line = f"{finding.check:{width}}  {finding.state if finding.state != OK else 'ok':6}  {finding.found}"
    return line + (textwrap.indent(f"\n{finding.remedy}", " " * (width + 10)) if finding.remedy else "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
