"""Every DAG: what Airflow makes of it, and what it does to Airflow while it is parsed."""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions.xcom_arg import XComArg
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from orchard.plan import Plan
from tests.airflow_home import ENVIRONMENT, REPOSITORY
from tests.airflow_versions import DagBag, DagSerialization, filled_in, of_plugins
from tests.plans import CODE, PLAN, plan

# Of Airflow's own reading of .airflowignore, with the pathspec that it allows itself.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")

FILES = sorted((REPOSITORY / "dags").glob("*.py"))
# What computes, what reads the lake, and what only a task or the API server needs.
HEAVY = {
    *("tensorflow", "keras", "pyspark", "openvino", "nncf", "spark_jobs"),
    *("duckdb", "pyarrow", "pyiceberg", "numpy", "pandas", "PIL", "obstore", "aiobotocore", "matplotlib"),
}
SETUPS, TEARDOWNS = {"create_cluster", "cluster_ready"}, {"terminate_cluster", "cluster_ended"}
LAKE = {"take_lake", "give_lake_back"}  # the setup of all else, and its teardown
NUMBERS = {"asked": 1203, "embedded": 1200, "rejected": 3}
XCOMS = {
    "take_lake": "s3://bucket/lake",
    "find_new_photos": PLAN.to_dict(),
    "anything_to_do": True,
    "stage_code": CODE,
    "create_cluster": "j-1",
    "cluster_ready": 1772323300.5,
    "terminate_cluster": 1772323900.5,
    "extract": "s-1",
    "reduce": "s-2",
    "maintain": "s-3",
    "check_run": NUMBERS,
}


BAD = """
import contextlib, socket, sqlite3, subprocess, time, warnings
import boto3, pyarrow
from airflow.sdk import DAG, Connection, Variable
with contextlib.suppress(Exception): Variable.get("orchard", default=None)
with contextlib.suppress(Exception): Connection.get("aws_default")
with contextlib.suppress(Exception): socket.create_connection(("127.0.0.1", 9))
with contextlib.suppress(Exception): sqlite3.connect(":memory:")
with contextlib.suppress(Exception): subprocess.run(["true"])
client = boto3.client("emr", region_name="eu-west-1")
end = time.process_time() + 2
while time.process_time() < end: pass
warnings.warn("getting old", DeprecationWarning)
with DAG("bad"): pass
"""


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Parse each DAG file, and a bad one, in a process of its own."""
    folder = tmp_path_factory.mktemp("parsed")
    (folder / "bad.py").write_text(BAD)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_"))}
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("parse_alone.py"), folder, *FILES, folder / "bad.py"],
        cwd=folder,
        env=kept | ENVIRONMENT | {"AIRFLOW_HOME": str(folder), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answers = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    assert len(answers) == len(FILES) + 1, done.stdout + done.stderr
    return answers


@pytest.fixture(scope="session")
def bag() -> DagBag:
    """Parse all DAGs in this process."""
    return DagBag(str(REPOSITORY / "dags"))


@pytest.fixture
def daily(bag: DagBag) -> DAG:
    return bag.dags["orchard_daily"]


def test_all_dags_are_there(bag: DagBag) -> None:
    assert not bag.import_errors
    assert set(bag.dags) == {"orchard_daily", "orchard_reaper"} == {path.stem for path in FILES}


def serialized(dag: DAG) -> dict[str, Any]:
    """Return what Airflow keeps of a DAG, without the place where it was found."""
    kept = json.loads(json.dumps(DagSerialization.to_dict(dag)["dag"]))
    return {name: value for name, value in kept.items() if name not in ("relative_fileloc", "_processor_dags_folder")}


@pytest.mark.parametrize("dag_id", [path.stem for path in FILES])
def test_parsing(dag_id: str, parsed: dict[str, dict[str, Any]], bag: DagBag) -> None:
    """No warning, under two seconds, no network, no variable, no connection, nothing heavy."""
    found = parsed[dag_id]
    assert (found["dags"], found["errors"], found["warnings"]) == ([dag_id], [], [])
    # Of the CPU, with the provider's import: what else the machine is doing does not count.
    assert found["seconds"] < 2.0
    assert (found["deeds"], found["clients"]) == ([], 0)
    assert not set(found["packages"]) & HEAVY
    # The same whenever it is parsed: of a DAG that is not, Airflow makes a new version each time.
    assert found["serialized"] == serialized(bag.dags[dag_id])


def test_the_check_of_parsing_sees_what_it_should(parsed: dict[str, dict[str, Any]]) -> None:
    found = parsed["bad"]
    assert found["dags"] == []
    assert "DeprecationWarning: getting old" in found["errors"][0]
    deeds = {"variable", "connection", "socket.getaddrinfo", "sqlite3.connect", "subprocess.Popen"}
    assert deeds <= set(found["deeds"])
    assert found["seconds"] > 2.0
    assert found["clients"] == 1
    assert {"pyarrow", "numpy"} <= set(found["packages"]) & HEAVY


@pytest.mark.parametrize("dag_id", [path.stem for path in FILES])
def test_manners(dag_id: str, bag: DagBag) -> None:
    """Owners, tags, retries, time-outs, docs; no cycle; no run of yesterday's, and one at a time."""
    dag = bag.dags[dag_id]
    dag.check_cycle()
    assert dag.tags == {"orchard", "emr"}
    assert dag.description and dag.doc_md
    assert dag.dagrun_timeout and timedelta() < dag.dagrun_timeout <= timedelta(hours=12)
    assert dag.start_date == datetime(2026, 1, 1, tzinfo=UTC)
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    for task in dag.tasks:
        assert task.owner == "orchard", task
        assert task.retries and task.retries >= 1 and task.retry_delay, task
        assert task.execution_timeout and task.execution_timeout < dag.dagrun_timeout, task
        assert task.doc_md and task.doc_md.strip().endswith("."), task


def test_schedules(bag: DagBag) -> None:
    assert bag.dags["orchard_reaper"].schedule == "@hourly"
    served = DagSerialization.from_dict(DagSerialization.to_dict(bag.dags["orchard_daily"])).timetable
    assert served.periodic and served.can_be_scheduled  # a back-fill is possible
    assert served.timetable.serialize() == {
        **{"expression": "0 0 * * *", "timezone": "UTC", "interval": 0.0, "run_immediately": False}
    }


def test_what_starts_a_run_beside_the_clock(bag: DagBag) -> None:
    """The same for everybody: whether there is a queue, the trigger finds out when it runs."""
    asset = bag.dags["orchard_daily"].schedule.asset_condition
    (watcher,) = asset.watchers
    assert (asset.name, asset.uri, watcher.name) == ("orchard_photos", "orchard://bucket/photos", "orchard_photos")
    assert watcher.trigger.serialize() == ("orchard.dag.watcher.PhotosTrigger", {})


def test_what_follows_what(bag: DagBag) -> None:
    def edges(dag_id: str) -> dict[str, set[str]]:
        return {task.task_id: set(task.downstream_task_ids) for task in bag.dags[dag_id].tasks}

    assert edges("orchard_reaper") == {"give_back_leaked_clusters": set()}
    assert edges("orchard_daily") == {
        "take_lake": {"find_new_photos", "create_cluster", "give_lake_back"},
        "find_new_photos": {
            *("anything_to_do", "stage_code", "create_cluster", "cluster_ready", "extract", "reduce", "maintain"),
            *("terminate_cluster", "cluster_ended", "check_run", "report"),
        },
        "anything_to_do": {"stage_code"},
        "stage_code": {"create_cluster", "extract", "reduce", "maintain"},
        "create_cluster": {"cluster_ready", "extract", "reduce", "maintain", *TEARDOWNS, "report"},
        "cluster_ready": {"extract", *TEARDOWNS, "report"},
        "extract": {"reduce", "report"},
        "reduce": {"maintain", "check_run", "report"},
        "maintain": {"terminate_cluster", "maintained"},
        "maintained": set(),
        "terminate_cluster": {"cluster_ended", "report"},
        "cluster_ended": {"report", "give_lake_back"},
        "check_run": {"report"},
        "report": {"give_lake_back"},
        "give_lake_back": set(),
    }


def test_setup_and_teardown(daily: DAG) -> None:
    assert {task.task_id for task in daily.tasks if task.is_setup} == {*SETUPS, "take_lake"}
    assert {task.task_id for task in daily.tasks if task.is_teardown} == {*TEARDOWNS, "give_lake_back"}
    for task_id in TEARDOWNS:
        teardown = daily.get_task(task_id)
        # Whatever failed, as long as there may be a cluster.
        assert teardown.trigger_rule == "all_done_setup_success"
        assert teardown.on_failure_fail_dagrun  # a cluster that could not be given back is not passed over
    # The lake, too; but a run that did all else is green, and the lease ends by itself.
    given_back = daily.get_task("give_lake_back")
    assert (given_back.trigger_rule, given_back.on_failure_fail_dagrun) == ("all_done_setup_success", False)
    # A leaf that runs whatever happened would turn a failed run green, were it no such teardown: `report` is the leaf.
    assert {leaf.task_id: leaf.trigger_rule for leaf in daily.leaves} == {
        "give_lake_back": "all_done_setup_success",
        "maintained": "all_success",
    }


def test_a_failed_maintenance_keeps_nobody_from_the_features(daily: DAG) -> None:
    """The run is red, by the leaf; but neither the sums nor the report wait for more than the end of the cluster."""
    after = {task for task in daily.task_ids if "maintain" in daily.get_task(task).upstream_task_ids}
    assert after == {"terminate_cluster", "maintained"}


@pytest.mark.parametrize(
    ("cleared", "downstream", "runs_again"),
    [
        ("extract", False, {*LAKE, *SETUPS, "extract", *TEARDOWNS}),
        ("reduce", False, {*LAKE, *SETUPS, "reduce", *TEARDOWNS}),
        (
            "extract",
            True,
            {*LAKE, *SETUPS, *TEARDOWNS, *("extract", "reduce", "maintain", "maintained", "check_run", "report")},
        ),
        ("maintain", False, {*LAKE, *SETUPS, "maintain", *TEARDOWNS}),
        ("find_new_photos", False, {*LAKE, "find_new_photos"}),
        # Without the lake: neither writes to it.
        ("create_cluster", False, {"create_cluster", *TEARDOWNS}),
        ("cluster_ready", False, {"cluster_ready", *TEARDOWNS}),  # which tells that the cluster is no more
        ("terminate_cluster", False, {"terminate_cluster"}),
        ("terminate_cluster", True, {*LAKE, *TEARDOWNS, "report"}),
        ("cluster_ended", True, {*LAKE, "cluster_ended", "report"}),
        ("check_run", False, {*LAKE, "check_run"}),
        ("report", False, {*LAKE, "report"}),
    ],
)
def test_clearing_a_step_rents_a_cluster_for_it(
    cleared: str, downstream: bool, runs_again: set[str], daily: DAG
) -> None:
    """Of the DAG as Airflow's server sees it."""
    served = DagSerialization.from_dict(DagSerialization.to_dict(daily))
    part = served.partial_subset([cleared], include_upstream=False, include_downstream=downstream)
    assert set(part.task_dict) == runs_again


class Ti:
    """A task instance, as far as templates ask it."""

    dag_id = "orchard_daily"

    def xcom_pull(self, task_ids: str, key: str, default: Any, map_indexes: Any) -> Any:
        assert (key, map_indexes) == ("return_value", None)
        return XCOMS.get(task_ids, default)


def rendered(dag: DAG, task_id: str) -> dict[str, Any]:
    """Render a task's templates, as a worker does just before it runs."""
    task = dag.get_task(task_id).prepare_for_execution()
    run = SimpleNamespace(dag_id=dag.dag_id, run_id=PLAN.dag_run_id)
    params = dag.params.dump()
    task.render_template_fields({"ti": Ti(), "task_instance": Ti(), "dag_run": run, "params": params})  # type: ignore[typeddict-item, typeddict-unknown-key]
    return {field: getattr(task, field) for field in task.template_fields}


def test_templates(daily: DAG) -> None:
    of_python = {"templates_dict": None, "op_kwargs": {}}
    expected: dict[str, dict[str, Any]] = {
        "take_lake": {},
        "give_lake_back": {"op_args": ("s3://bucket/lake",)},
        "find_new_photos": {"op_args": ()},
        "anything_to_do": {"op_args": (PLAN.to_dict(),)},
        "stage_code": {"op_args": (PLAN.to_dict(),)},
        "create_cluster": {"plan": PLAN.to_dict()},
        "cluster_ready": {"job_flow_id": "j-1", "plan": PLAN.to_dict()},
        "extract": {"cluster_id": "j-1", "plan": PLAN.to_dict(), "code": CODE},
        "reduce": {"cluster_id": "j-1", "plan": PLAN.to_dict(), "code": CODE},
        "maintain": {"cluster_id": "j-1", "plan": PLAN.to_dict(), "code": CODE},
        "maintained": {},
        "terminate_cluster": {"cluster_id": "j-1", "plan": PLAN.to_dict()},
        "cluster_ended": {"job_flow_id": "j-1", "plan": PLAN.to_dict()},
        "check_run": {"op_args": (PLAN.to_dict(),)},
        "report": {
            "plan": PLAN.to_dict(),
            "cluster_id": "j-1",
            "step_ids": {"extract": "s-1", "reduce": "s-2"},
            "counts": NUMBERS,
            "marks": {"bootstrapping": 1772323300.5, "terminating": 1772323900.5},
        },
    }
    assert {task.task_id: rendered(daily, task.task_id) for task in daily.tasks} == {
        task_id: fields | (of_python if "op_args" in fields else {}) for task_id, fields in expected.items()
    }


def test_templates_of_the_reaper(bag: DagBag) -> None:
    reaper = bag.dags["orchard_reaper"]
    assert {task.task_id: rendered(reaper, task.task_id) for task in reaper.tasks} == {
        "give_back_leaked_clusters": {"op_args": (), "templates_dict": None, "op_kwargs": {}}
    }


def test_what_is_handed_on_is_templated(bag: DagBag) -> None:
    """Or the operator would see a reference for a value."""
    for dag in bag.dags.values():
        for task in dag.tasks:
            for name, value in vars(task).items():
                assert not isinstance(value, XComArg) or name in task.template_fields, (task, name)


def test_the_tasks_hand_on_what_the_next_one_takes(daily: DAG, monkeypatch: pytest.MonkeyPatch) -> None:
    def call(task_id: str, *args: Any, **kwargs: Any) -> Any:
        return daily.get_task(task_id).python_callable(*args, **kwargs)  # type: ignore[attr-defined]

    def make_plan(dag_id: str, dag_run_id: str, params: Mapping[str, Any]) -> Any:
        assert (dag_id, dag_run_id, params) == (PLAN.dag_id, PLAN.dag_run_id, {"limit": 5})
        return PLAN

    monkeypatch.setattr("orchard.dag.tasks.make_plan", make_plan)
    monkeypatch.setattr("orchard.dag.tasks.stage_code", lambda one: CODE if one == PLAN else None)
    monkeypatch.setattr("orchard.dag.tasks.check", lambda one: NUMBERS if one == PLAN else None)
    run = SimpleNamespace(dag_id=PLAN.dag_id, run_id=PLAN.dag_run_id)
    handed = json.loads(json.dumps(call("find_new_photos", params={"limit": 5}, dag_run=run)))
    assert Plan.from_dict(handed) == PLAN
    assert call("stage_code", handed) == CODE
    assert call("check_run", handed) == NUMBERS
    assert call("anything_to_do", handed) is True
    assert call("anything_to_do", plan(why=None).to_dict()) is False
    assert call("anything_to_do", plan(plan_only=True).to_dict()) is False


def test_the_reaper_asks_airflow_as_it_may_be_asked(bag: DagBag, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    signature = inspect.signature(RuntimeTaskInstance.get_dr_count)

    def count(**given: Any) -> int:
        asked.append(signature.bind(**given).arguments)
        return 0

    monkeypatch.setattr(
        "orchard.dag.reaper.reap",
        lambda count_runs: [str(count_runs("d", "r", ("running",)) + count_runs("d", "r", None))],
    )
    (task,) = bag.dags["orchard_reaper"].tasks
    assert task.python_callable(ti=SimpleNamespace(get_dr_count=count)) == ["0"]  # type: ignore[attr-defined]
    assert asked == [
        {"dag_id": "d", "run_ids": ["r"], "states": ("running",)},
        {"dag_id": "d", "run_ids": ["r"], "states": None},
    ]


@pytest.mark.parametrize("dag_id", [path.stem for path in FILES])
def test_there_and_back_through_airflows_database(dag_id: str, bag: DagBag) -> None:
    dag = bag.dags[dag_id]
    written = json.loads(json.dumps(DagSerialization.to_dict(dag)))
    DagSerialization.validate_schema(written)
    served = DagSerialization.from_dict(written)
    assert {task.task_id: task.downstream_task_ids for task in served.tasks} == {
        task.task_id: task.downstream_task_ids for task in dag.tasks
    }
    assert served.dagrun_timeout == dag.dagrun_timeout
    assert served.params.dump() == dag.params.dump()
    for task in dag.tasks:
        assert served.get_task(task.task_id).extra_links == [link.name for link in task.operator_extra_links]
        assert served.get_task(task.task_id).execution_timeout == task.execution_timeout


def test_links(daily: DAG) -> None:
    assert {task.task_id: [link.name for link in task.operator_extra_links] for task in daily.tasks} == {
        "take_lake": [],
        "give_lake_back": [],
        "find_new_photos": [],
        "anything_to_do": [],
        "stage_code": [],
        "create_cluster": ["Cluster", "Logs", "Spark UI"],
        "cluster_ready": ["Cluster", "Logs", "Spark UI"],
        "extract": ["Cluster", "Logs", "Spark UI"],
        "reduce": ["Cluster", "Logs", "Spark UI"],
        "maintain": ["Cluster", "Logs", "Spark UI"],
        "maintained": [],
        "terminate_cluster": ["Cluster", "Logs", "Spark UI"],
        "cluster_ended": ["Cluster", "Logs", "Spark UI"],
        "check_run": [],
        "report": ["Report"],
    }


def test_what_other_dags_may_wait_for(daily: DAG) -> None:
    assert {task.task_id: [(one.name, one.uri) for one in task.outlets] for task in daily.tasks if task.outlets} == {
        "check_run": [
            ("orchard_embeddings", "orchard://lake/embeddings"),
            ("orchard_coordinates", "orchard://lake/coordinates"),
            ("orchard_recogniser", "orchard://lake/recognisers"),
        ]
    }


def test_the_form_without_a_word(daily: DAG) -> None:
    """A scheduled run's."""
    daily.params.validate()
    assert daily.validate() is None


@pytest.mark.parametrize(
    ("field", "value"), [("components", 0), ("variance", 1.5), ("refit", "sometimes"), ("prefixes", ["gs://bucket"])]
)
def test_the_form_refuses(field: str, value: Any, daily: DAG) -> None:
    """As the server does, before there is a run."""
    from airflow.providers.common.compat.sdk import ParamValidationError

    params = DagSerialization.from_dict(DagSerialization.to_dict(daily)).params
    with pytest.raises((ValueError, ParamValidationError), match="Invalid input for param|" + field):
        filled_in(params, {field: value}).validate()


def test_the_plugin() -> None:
    errors, pages, links = of_plugins()
    assert errors == {}
    ours = [page for page in pages if page["name"] == "Orchard"]
    assert [page["url_prefix"] for page in ours] == ["/orchard"]
    assert callable(ours[0]["app"])
    assert {"ClusterLink", "LogsLink", "SparkUiLink", "ReportLink"} <= {type(link).__name__ for link in links}
