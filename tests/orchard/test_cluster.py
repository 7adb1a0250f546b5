import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from orchard.cluster import STEPS, configurations, extract_step, job_flow, name, reduce_step, tags
from orchard.form import Wishes
from orchard.plan import Plan, request_json, safe_run_id, step_options
from spark_jobs import extract_embeddings, reduce_embeddings
from spark_jobs.location import LakeLocation
from tests.plans import CODE, EXTRACTOR, PLAN, SETTINGS, plan, settings

EMR = botocore.session.get_session().get_service_model("emr")


def complaints(shape: Shape, value: Any, where: str) -> Iterator[str]:
    """Check the lengths and patterns of EMR's service model, which botocore leaves to the server."""
    if isinstance(shape, StructureShape):
        for key, one in value.items():
            yield from complaints(shape.members[key], one, f"{where}.{key}")
    elif isinstance(shape, ListShape):
        for one in value:
            yield from complaints(shape.member, one, f"{where}[]")
    elif isinstance(shape, MapShape):
        for key, one in value.items():
            yield from complaints(shape.key, key, where)
            yield from complaints(shape.value, one, f"{where}.{key}")
    elif isinstance(shape, StringShape):
        least, most = shape.metadata.get("min", 0), shape.metadata.get("max", 10**6)
        if not least <= len(value) <= most:
            yield f"{where} has {len(value)} characters, not {least} to {most}"
        if (pattern := shape.metadata.get("pattern")) and not re.fullmatch(_python(pattern), value):
            yield f"{where} is not {pattern}"
        if shape.enum and value not in shape.enum:
            yield f"{where} is not one of {shape.enum}"


def _python(pattern: str) -> str:
    r"""Take the surrogate pairs of Java's patterns for what they mean: everything beyond \uFFFF."""
    return pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", "\U00010000-\U0010ffff")


def check(operation: str, request: dict[str, Any]) -> None:
    """Check a request as the service would."""
    shape = EMR.operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    assert not list(complaints(shape, request, operation))


def test_the_check_finds_what_is_wrong() -> None:
    with pytest.raises(AssertionError, match="Missing required parameter"):
        check("RunJobFlow", {"Name": "x"})
    with pytest.raises(AssertionError, match=r"RunJobFlow\.Name has 257 characters, not 0 to 256"):
        check("RunJobFlow", {"Name": "x" * 257, "Instances": {}})
    with pytest.raises(AssertionError, match="is not one of"):
        check("AddJobFlowSteps", {"JobFlowId": "j-1", "Steps": [step("x", ActionOnFailure="SHRUG")]})


def step(*args: str, **changes: Any) -> dict[str, Any]:
    return {"Name": "x", "ActionOnFailure": "CONTINUE", "HadoopJarStep": {"Jar": "x", "Args": list(args)}} | changes


def test_a_cluster_of_few_words() -> None:
    request = job_flow(SETTINGS, PLAN)
    assert request == {
        "Name": "orchard scheduled__2026-03-01T00-00-00-00-00-9e5f6a7b8c",
        "ReleaseLabel": "emr-7.14.0",
        "Applications": [{"Name": "Spark"}],
        "LogUri": "s3://bucket/lake/logs/",
        "Instances": {
            "InstanceGroups": [
                {
                    "Name": "primary",
                    "InstanceRole": "MASTER",
                    "Market": "ON_DEMAND",
                    "InstanceType": "m5.xlarge",
                    "InstanceCount": 1,
                },
                {
                    "Name": "core",
                    "InstanceRole": "CORE",
                    "Market": "ON_DEMAND",
                    "InstanceType": "m5.xlarge",
                    "InstanceCount": 2,
                },
            ],
            "KeepJobFlowAliveWhenNoSteps": True,
            "TerminationProtected": False,
        },
        "Configurations": [
            {"Classification": "iceberg-defaults", "Properties": {"iceberg.enabled": "true"}},
            {
                "Classification": "spark-defaults",
                "Properties": {
                    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
                },
            },
        ],
        "ServiceRole": "orchard-emr-service",
        "JobFlowRole": "orchard-emr-node",
        "VisibleToAllUsers": True,
        "AutoTerminationPolicy": {"IdleTimeout": 1800},
        "StepConcurrencyLevel": 1,
        "Tags": [
            {"Key": "for-use-with-amazon-emr-managed-policies", "Value": "true"},
            {"Key": "orchard:dag", "Value": "orchard_daily"},
            {"Key": "orchard:lake", "Value": "s3://bucket/lake"},
            {"Key": "orchard:run", "Value": "scheduled__2026-03-01T00:00:00+00:00"},
        ],
    }
    check("RunJobFlow", request)


def test_a_cluster_with_everything() -> None:
    chosen = settings(
        subnets=("subnet-1", "subnet-2"),
        security_configuration="sealed",
        bootstrap="s3://bucket/lake/bootstrap/0123456789ab",
        tags={"team": "fruit", "orchard:run": "nobody's"},
        idle_minutes=1,
        release="emr-7.13.0",
    )
    request = job_flow(chosen, plan(keep_cluster=True, instance_type="c7g.2xlarge", core_nodes=7))
    check("RunJobFlow", request)
    assert request["Instances"]["Ec2SubnetIds"] == ["subnet-1", "subnet-2"]
    assert request["SecurityConfiguration"] == "sealed"
    assert request["BootstrapActions"] == [
        {
            "Name": "orchard",
            "ScriptBootstrapAction": {
                "Path": "s3://bucket/lake/bootstrap/0123456789ab/install.sh",
                "Args": ["s3://bucket/lake/bootstrap/0123456789ab"],
            },
        }
    ]
    assert [(one["InstanceType"], one["InstanceCount"]) for one in request["Instances"]["InstanceGroups"]] == [
        ("c7g.2xlarge", 1),
        ("c7g.2xlarge", 7),
    ]
    assert request["AutoTerminationPolicy"] == {"IdleTimeout": 60}  # EMR's least
    assert request["ReleaseLabel"] == "emr-7.13.0"
    spark = configurations(chosen)[1]["Properties"]
    assert spark["spark.pyspark.python"] == spark["spark.pyspark.driver.python"] == "/opt/orchard/bin/python"


def test_tags_tell_whose_a_cluster_is() -> None:
    assert tags(settings(tags={"team": "fruit", "orchard:run": "nobody's"}), plan(keep_cluster=True)) == {
        "team": "fruit",
        "for-use-with-amazon-emr-managed-policies": "true",
        "orchard:run": "scheduled__2026-03-01T00:00:00+00:00",  # no setting takes its place
        "orchard:dag": "orchard_daily",
        "orchard:lake": "s3://bucket/lake",
        "orchard:keep": "when a step failed",
    }
    assert "orchard:keep" not in tags(SETTINGS, PLAN)


def test_steps() -> None:
    assert extract_step(PLAN, CODE) == {
        "Name": "extract scheduled__2026-03-01T00-00-00-00-00-9e5f6a7b8c",
        "ActionOnFailure": "CONTINUE",
        "HadoopJarStep": {
            "Jar": "command-runner.jar",
            "Args": [
                *("spark-submit", "--deploy-mode", "client"),
                *("--py-files", "s3://bucket/lake/code/spark_jobs-0123456789ab.zip"),
                "s3://bucket/lake/code/0123456789ab/extract_embeddings.py",
                *("--lake", "s3://bucket/lake"),
                *("--database", "orchard"),
                *("--run-id", "scheduled__2026-03-01T00-00-00-00-00-9e5f6a7b8c"),
                *("--extractor", "s3://bucket/lake/extractors/mobilenet_v2-f32-0123456789ab.zip"),
                *("--engine", "openvino"),
            ],
        },
    }
    chosen = plan(step_options={"refit": "never", "components": 50, "standardize": True})
    assert reduce_step(chosen, CODE) == {
        "Name": "reduce scheduled__2026-03-01T00-00-00-00-00-9e5f6a7b8c",
        "ActionOnFailure": "CONTINUE",
        "HadoopJarStep": {
            "Jar": "command-runner.jar",
            "Args": [
                *("spark-submit", "--deploy-mode", "client"),
                *("--py-files", "s3://bucket/lake/code/spark_jobs-0123456789ab.zip"),
                "s3://bucket/lake/code/0123456789ab/reduce_embeddings.py",
                *("--lake", "s3://bucket/lake"),
                *("--database", "orchard"),
                *("--run-id", "scheduled__2026-03-01T00-00-00-00-00-9e5f6a7b8c"),
                *("--extractor-id", "mobilenet_v2-f32-0123456789ab"),
                *("--refit", "never"),
                *("--components", "50"),
                "--standardize",
            ],
        },
    }
    check("AddJobFlowSteps", {"JobFlowId": "j-1", "Steps": [build(PLAN, CODE) for build in STEPS.values()]})


@pytest.mark.parametrize("dag_run_id", ["x" * 250, "manual__" + "é:" * 121, "~"])
def test_requests_of_runs_with_odd_names(dag_run_id: str) -> None:
    odd = plan(dag_run_id=dag_run_id, run_id=safe_run_id(dag_run_id))
    check("RunJobFlow", job_flow(SETTINGS, odd))
    check("AddJobFlowSteps", {"JobFlowId": "j-1", "Steps": [build(odd, CODE) for build in STEPS.values()]})
    assert name(odd) == f"orchard {odd.run_id}"


def job_arguments(request: dict[str, Any], script: str) -> list[str]:
    """Return what spark-submit gives to the job."""
    command: list[str] = request["HadoopJarStep"]["Args"]
    assert all(isinstance(part, str) for part in command)
    return command[command.index(CODE[script]) + 1 :]


wishes = st.builds(
    lambda size, others: Wishes.read(json.loads(json.dumps({**size, **others}))),
    st.one_of(
        st.just({}),
        st.builds(lambda n: {"components": n}, st.integers(1, 2048)),
        st.builds(lambda v: {"variance": v}, st.floats(0, 1, exclude_min=True)),
    ),
    st.fixed_dictionaries(
        {"refit": st.sampled_from(["auto", "always", "never"]), "standardize": st.sampled_from([None, True, False])}
    ),
)
run_ids = st.from_regex(r"[A-Za-z0-9_.~:+-]{1,250}", fullmatch=True).map(safe_run_id)
plans = st.builds(
    lambda run_id, engine, wished: plan(run_id=run_id, engine=engine, step_options=step_options(SETTINGS, wished)),
    run_ids,
    st.sampled_from(["openvino", "tensorflow"]),
    wishes,
)


@given(plans)
def test_step_1_takes_its_command_line(one: Plan) -> None:
    """The contract of the two planes."""
    args = extract_embeddings.parse(job_arguments(extract_step(one, CODE), "extract_embeddings"))
    assert vars(args) == {
        "lake": "s3://bucket/lake",
        "database": "orchard",
        "run_id": one.run_id,
        "extractor": f"s3://bucket/lake/extractors/{EXTRACTOR}.zip",
        "engine": one.engine,
    }
    assert asdict(LakeLocation.parse(args.lake, args.database)) == {"root": one.lake, "database": one.database}


@given(plans)
def test_step_2_takes_its_command_line(one: Plan) -> None:
    args, options = reduce_embeddings.parse(job_arguments(reduce_step(one, CODE), "reduce_embeddings"))
    assert (args.lake, args.database, args.run_id, args.extractor_id) == (
        "s3://bucket/lake",
        "orchard",
        one.run_id,
        EXTRACTOR,
    )
    assert options.refit == one.step_options["refit"]
    assert options.request.components == one.step_options.get("components")
    assert options.request.variance == (None if options.request.components else one.step_options.get("variance", 0.95))
    assert options.request.standardize == one.step_options.get("standardize", False)
    assert options.to_json() == request_json(one.step_options)
