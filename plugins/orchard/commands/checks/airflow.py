"""The Airflow that this runs in: its versions, Orchard's DAGs, the settings that are about waiting."""

from importlib.metadata import PackageNotFoundError, version

from orchard.commands.checks import Check, Failed, Subject, Unknown

OLDEST = (3, 1)
DAGS = ("orchard_daily", "orchard_reaper")
# EMR brings a step's logs about every five minutes.
_LOG_SECONDS = 300


def versions(subject: Subject) -> str:
    """Look whether Airflow is new enough, and its provider can wait without holding a worker."""
    found = {}
    for package in ("apache-airflow", "apache-airflow-providers-amazon", "aiobotocore"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            raise Failed(
                f"{package} is not installed",
                "Install apache-airflow-providers-amazon[aiobotocore] (requirements-airflow.txt) wherever Airflow "
                "runs; without it nothing deferrable works.",
            ) from None
    if tuple(int(part) for part in found["apache-airflow"].split(".")[:2]) < OLDEST:
        raise Failed(
            f"Airflow {found['apache-airflow']} is older than {'.'.join(map(str, OLDEST))}",
            "Upgrade it; requirements-airflow.txt has what Orchard is tested with.",
        )
    return f"Airflow {found['apache-airflow']}, provider {found['apache-airflow-providers-amazon']}"


def waits(subject: Subject) -> str:
    """Look whether a failed step's logs are waited for as long as EMR takes to bring them."""
    seconds = subject.settings.log_seconds
    if subject.settings.console is None and seconds < _LOG_SECONDS:
        raise Failed(
            f"log_seconds is {seconds:.0f}, and EMR brings logs every five minutes: a failed step's are missed",
            "Leave the setting log_seconds away, or make it 360.",
        )
    return f"log_seconds {seconds:.0f}, idle_minutes {subject.settings.idle_minutes}"


def dags(subject: Subject) -> str:
    """Look whether Airflow has parsed the DAGs, and runs the reaper."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with create_session() as session:
            paused = {name: dag.is_paused for name in DAGS if (dag := session.get(DagModel, name)) and not dag.is_stale}
    except (SQLAlchemyError, RuntimeError) as error:
        # Where managed services let only their own processes at it.
        raise Unknown(f"Airflow's database cannot be read here ({type(error).__name__})") from error
    if missing := [name for name in DAGS if name not in paused]:
        raise Failed(
            f"Airflow has not parsed {', '.join(missing)}",
            "Put dags/ into its folder of DAGs and plugins/ into its folder of plugins; "
            "`airflow dags list-import-errors` says what is wrong with a file.",
        )
    if paused["orchard_reaper"]:
        raise Failed(
            "orchard_reaper is paused: a cluster that is left over lives until it was idle for long enough",
            "airflow dags unpause orchard_reaper",
        )
    return ", ".join(f"{name} {'is paused' if paused[name] else 'is on'}" for name in DAGS)


CHECKS = (Check("Airflow", versions), Check("waiting", waits), Check("DAGs", dags))
