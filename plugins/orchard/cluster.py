"""Cluster: the requests that rent one and give it work, built from settings and plan; nothing is asked or sent here."""

from typing import Any

from orchard.plan import Plan
from orchard.settings import Settings

RUN_TAG, DAG_TAG, LAKE_TAG, KEEP_TAG = "orchard:run", "orchard:dag", "orchard:lake", "orchard:keep"
LIVE = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")


def name(plan: Plan) -> str:
    """Return the name of a run's cluster."""
    return f"orchard {plan.run_id}"


def tags(settings: Settings, plan: Plan) -> dict[str, str]:
    """Return what tells a cluster's owner: the run, the DAG, and the lake (two Airflows may share an account)."""
    return {
        **settings.tags,
        "for-use-with-amazon-emr-managed-policies": "true",
        RUN_TAG: plan.dag_run_id,
        DAG_TAG: plan.dag_id,
        LAKE_TAG: plan.lake,
        **({KEEP_TAG: "when a step failed"} if plan.keep_cluster else {}),
    }


def job_flow(settings: Settings, plan: Plan) -> dict[str, Any]:
    """Build the RunJobFlow request of a run's cluster: one primary node, which computes nothing, and the core nodes."""
    groups = (("primary", "MASTER", 1), ("core", "CORE", plan.core_nodes))
    instances: dict[str, Any] = {
        "InstanceGroups": [
            {
                "Name": group,
                "InstanceRole": role,
                "Market": "ON_DEMAND",
                "InstanceType": plan.instance_type,
                "InstanceCount": count,
            }
            for group, role, count in groups
        ],
        "KeepJobFlowAliveWhenNoSteps": True,
        "TerminationProtected": False,
    }
    if settings.subnets:
        instances["Ec2SubnetIds"] = list(settings.subnets)
    request: dict[str, Any] = {
        "Name": name(plan),
        "ReleaseLabel": settings.release,
        "Applications": [{"Name": "Spark"}],
        "LogUri": f"{plan.lake}/logs/",
        "Instances": instances,
        "Configurations": configurations(settings),
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
    return request


def configurations(settings: Settings) -> list[dict[str, Any]]:
    """Build the cluster's configuration of Iceberg and Spark."""
    spark = {"spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"}
    if settings.interpreter:
        spark |= {"spark.pyspark.python": settings.interpreter, "spark.pyspark.driver.python": settings.interpreter}
    return [
        {"Classification": "iceberg-defaults", "Properties": {"iceberg.enabled": "true"}},
        {"Classification": "spark-defaults", "Properties": spark},
    ]


def extract_step(plan: Plan, code: dict[str, str]) -> dict[str, Any]:
    """Build step 1 from the addresses of the staged code."""
    arguments = {"extractor": f"{plan.lake}/extractors/{plan.extractor_id}.zip", "engine": plan.engine}
    return _step("extract", "extract_embeddings", plan, code, arguments)


def reduce_step(plan: Plan, code: dict[str, str]) -> dict[str, Any]:
    """Build step 2."""
    return _step("reduce", "reduce_embeddings", plan, code, {"extractor-id": plan.extractor_id, **plan.step_options})


STEPS = {"extract": extract_step, "reduce": reduce_step}


def _step(step: str, job: str, plan: Plan, code: dict[str, str], arguments: dict[str, Any]) -> dict[str, Any]:
    given = {"lake": plan.lake, "database": plan.database, "run-id": plan.run_id, **arguments}
    options = [part for key, value in given.items() for part in _option(key, value)]
    command = ["spark-submit", "--deploy-mode", "client", "--py-files", code["package"], code[job], *options]
    return {
        "Name": f"{step} {plan.run_id}",
        # The cluster stays for a retry; the run's teardown gives it back.
        "ActionOnFailure": "CONTINUE",
        "HadoopJarStep": {"Jar": "command-runner.jar", "Args": command},
    }


def _option(key: str, value: Any) -> list[str]:
    return [f"--{key}"] if value is True else [f"--{key}", str(value)]
