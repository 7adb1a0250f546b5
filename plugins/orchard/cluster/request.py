"""Cluster: the requests that rent one and give it work, built from settings and plan; nothing is asked or sent here."""

import re
from typing import Any
from urllib.parse import unquote

from orchard.cluster.emr_rules import check_cluster, check_steps
from orchard.cluster.nodes import ROOT_GIB, instances
from orchard.cluster.spark_configuration import configurations
from orchard.plan import Plan
from orchard.settings import Settings

RUN_TAG, DAG_TAG, LAKE_TAG, KEEP_TAG = "orchard:run", "orchard:dag", "orchard:lake", "orchard:keep"
OWNER_TAGS = (RUN_TAG, DAG_TAG, LAKE_TAG)  # whose values are `as_tag`'s
LIVE = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")


def name(plan: Plan) -> str:
    """Return the name of a run's cluster."""
    return f"orchard {plan.run_id}"


def tags(settings: Settings, plan: Plan) -> dict[str, str]:
    """Return what tells a cluster's owner: the run, the DAG, and the lake (two Airflows may share an account)."""
    return {
        **settings.tags,
        "for-use-with-amazon-emr-managed-policies": "true",
        RUN_TAG: as_tag(plan.dag_run_id),
        DAG_TAG: as_tag(plan.dag_id),
        LAKE_TAG: as_tag(plan.lake),
        **({KEEP_TAG: "when a step failed"} if plan.keep_cluster else {}),
    }


def as_tag(text: str) -> str:
    """Write a text so that EC2 takes it as a tag's value; `from_tag` gives it back.

    The ids of DAG runs may hold ``~``, and any character where Airflow is told so; EC2 takes letters, digits, spaces
    and ``_ . : / = + - @``. What it does not take becomes ``=`` and two digits a byte, as in quoted-printable text.
    """
    plain = re.sub(r"[^\w .:/+@-]", lambda found: _escaped(found[0]), text)
    return re.sub(r"^(aws:)", lambda found: _escaped(found[0][0]) + found[0][1:], plain, flags=re.IGNORECASE)


def from_tag(value: str) -> str:
    """Read what `as_tag` wrote."""
    return unquote(value.replace("=", "%"))


def _escaped(text: str) -> str:
    return "".join(f"={byte:02X}" for byte in text.encode())


def job_flow(settings: Settings, plan: Plan) -> dict[str, Any]:
    """Build the RunJobFlow request of a run's cluster.

    Raises
    ------
    EmrRuleError
        EMR would refuse it.
    SettingsError
        The instance types have too little memory.
    """
    request: dict[str, Any] = {
        "Name": name(plan),
        "ReleaseLabel": settings.release,
        "Applications": [{"Name": "Spark"}],
        "LogUri": f"{plan.lake}/logs/",
        "Instances": instances(settings, plan),
        "EbsRootVolumeSize": ROOT_GIB,
        "Configurations": configurations(settings, plan),
        "ServiceRole": settings.service_role,
        "JobFlowRole": settings.instance_profile,
        "VisibleToAllUsers": True,
        "AutoTerminationPolicy": {"IdleTimeout": 60 * settings.idle_minutes},
        "StepConcurrencyLevel": 1,
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags(settings, plan).items())],
    }
    if settings.security_configuration:
        request["SecurityConfiguration"] = settings.security_configuration
    if settings.bootstrap:
        script = {"Path": f"{settings.bootstrap}/install.sh", "Args": [settings.bootstrap]}
        request["BootstrapActions"] = [{"Name": "orchard", "ScriptBootstrapAction": script}]
    check_cluster(request)
    return request


def extract_step(plan: Plan, code: dict[str, str]) -> dict[str, Any]:
    """Build step 1 from the addresses of the staged code."""
    arguments = {"extractor": f"{plan.lake}/extractors/{plan.extractor_id}.zip", "engine": plan.engine}
    return _step("extract", "extract_embeddings", plan, code, arguments)


def reduce_step(plan: Plan, code: dict[str, str]) -> dict[str, Any]:
    """Build step 2."""
    return _step("reduce", "reduce_embeddings", plan, code, {"extractor-id": plan.extractor_id, **plan.step_options})


def maintain_step(plan: Plan, code: dict[str, str]) -> dict[str, Any]:
    """Build the step that maintains the tables, of the runs in which that is due."""
    return _step("maintain", "maintain_tables", plan, code, {"keep-days": f"{plan.keep_days:g}"})


STEPS = {"extract": extract_step, "reduce": reduce_step, "maintain": maintain_step}


def _step(step: str, job: str, plan: Plan, code: dict[str, str], arguments: dict[str, Any]) -> dict[str, Any]:
    given = {"lake": plan.lake, "database": plan.database, "run-id": plan.run_id, **arguments}
    options = [part for key, value in given.items() for part in _option(key, value)]
    command = ["spark-submit", "--deploy-mode", "client", "--py-files", code["package"], code[job], *options]
    request = {
        "Name": f"{step} {plan.run_id}",
        # The cluster stays for a retry; the run's teardown gives it back.
        "ActionOnFailure": "CONTINUE",
        "HadoopJarStep": {"Jar": "command-runner.jar", "Args": command},
    }
    check_steps([request])
    return request


def _option(key: str, value: Any) -> list[str]:
    return [f"--{key}"] if value is True else [f"--{key}", str(value)]
