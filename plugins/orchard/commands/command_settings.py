"""Command_settings: the settings that a command is given, by a file or by the variable of the Airflow beside it."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchard.mistakes import read_json
from orchard.settings import Settings, SettingsError, read_settings

_EXPECTED = "expected a JSON object of settings, such as .orchard/deploy/<env>.json of `make deploy ENV=<env>`"


def as_airflow() -> None:
    """Look for variables and connections as Airflow's own commands do: in its database, too."""
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")


def of_file(file: Path) -> Settings:
    """Read settings from a file.

    Raises
    ------
    SettingsError
        It cannot be read, or makes no sense.
    """
    try:
        given = read_json(file.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}; {_EXPECTED}.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not JSON ({error}); {_EXPECTED}.") from error
    except ValueError as error:
        raise SettingsError(f"{file}: {error}; {_EXPECTED}.") from error
    try:
        return Settings.parse(given)
    except SettingsError as error:
        raise SettingsError(f"{file}:\n{error}") from None


def of_airflow() -> Settings:
    """Read the variable.

    Raises
    ------
    SettingsError
        There is none, or no database to look for it in, or it makes no sense.
    """
    as_airflow()
    import airflow.settings  # noqa: F401

    with _database_failures() as failures:
        try:
            return read_settings()
        except SettingsError as error:
            if not failures:
                raise
            raise SettingsError(
                f"Airflow has no database here that can be read ({failures[0]}). `airflow db migrate` makes one; or "
                "this is not where Airflow runs: --settings FILE takes the settings from a file."
            ) from error


@contextmanager
def _database_failures() -> Iterator[list[str]]:
    """Collect the errors of Airflow's database, which Airflow would print with a traceback, and then go on."""
    import structlog

    failures: list[str] = []

    def collect(_logger: Any, _method: str, event: Any) -> Any:
        if "MetastoreBackend" not in str(event.get("event")):
            return event  # another backend's, which nobody else tells of
        failures.append(type(sys.exc_info()[1]).__name__)
        raise structlog.DropEvent

    # In place: loggers that were used before keep the list, not the configuration.
    processors = structlog.get_config()["processors"]
    processors.insert(0, collect)
    try:
        yield failures
    finally:
        processors.remove(collect)
