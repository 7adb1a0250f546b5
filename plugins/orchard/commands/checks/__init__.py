"""Checks: what a run of the DAG needs, each a small function; `orchard.commands.doctor` calls them one by one.

A check returns a line about what it found, or raises `Failed` or `Unknown`. It leaves AWS' own errors to `run_check`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orchard.settings import Settings

OK, FAILED, UNKNOWN = "ok", "FAILED", "could not be checked"
DENIED = (
    "403", "AccessDenied", "AccessDeniedException", "AuthorizationError", "Forbidden", "UnauthorizedOperation",
)  # fmt: skip


class Failed(Exception):
    """A run could not do with what was found; `remedy` says what to do."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.remedy = remedy


class Unknown(Exception):
    """Nothing can be said, such as where an AWS lacks a call."""


@dataclass(frozen=True)
class Subject:
    """What is looked at.

    Attributes
    ----------
    open_client : callable
        Given the name of a service, opens a boto3 client.
    """

    settings: Settings
    open_client: Callable[[str], Any]
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """Return the client of a service, opened once."""
        if service not in self._clients:
            self._clients[service] = self.open_client(service)
        return self._clients[service]

    @property
    def nodes(self) -> int:
        """Nodes of the largest cluster that the settings allow: one primary, and core ones."""
        return 1 + self.settings.max_core_nodes


@dataclass(frozen=True)
class Check:
    """A check and its name.

    Attributes
    ----------
    needed : bool
        Whether a run makes the same calls, so that one that is denied is a failure.
    """

    name: str
    look: Callable[[Subject], str]
    needed: bool = False


@dataclass(frozen=True)
class Finding:
    """What a check found."""

    check: str
    state: str
    found: str
    remedy: str | None = None


def run_check(check: Check, subject: Subject) -> Finding:
    """Run a check; AWS' errors become findings."""
    from airflow.sdk.exceptions import AirflowException
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return Finding(check.name, OK, check.look(subject))
    except Failed as failed:
        return Finding(check.name, FAILED, str(failed), failed.remedy)
    except Unknown as unknown:
        return Finding(check.name, UNKNOWN, str(unknown))
    except ClientError as error:
        code, message = error_code(error), error.response["Error"].get("Message", "")
        if code in DENIED and check.needed:
            return Finding(
                check.name, FAILED, f"{error.operation_name} is denied: {message}",
                "Attach the policy orchard-<env>-airflow (the stack's output AirflowPolicyArn) to the role or user of "
                "the line credentials; a run makes the same call.",
            )  # fmt: skip
        what = "is denied" if code in DENIED else f"answered {code}"
        return Finding(check.name, UNKNOWN, f"{error.operation_name} {what}: {message}")
    except (BotoCoreError, AirflowException) as error:
        return Finding(check.name, UNKNOWN, str(error))


def error_code(error: Any) -> str:
    """Return the code of a botocore ClientError."""
    return str(error.response["Error"].get("Code", ""))
