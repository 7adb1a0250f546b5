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

from local.emr.rules import check_cluster
from orchard.cluster.emr_rules import EmrRuleError
from orchard.cluster.request import STEPS, as_tag, extract_step, from_tag, job_flow, name, reduce_step, tags
from orchard.cluster.spark_configuration import configurations
from orchard.form import Wishes
from orchard.plan import Plan, request_json, safe_run_id, step_options
from spark_jobs import extract_embeddings, reduce_embeddings
from spark_jobs.tables.location import LakeLocation
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
    if operation == "RunJobFlow":
        check_cluster(request)  # as the EMR of this machine does


def test_the_check_finds_what_is_wrong() -> None:
    with pytest.raises(AssertionError, match="Missing required parameter"):
        check("RunJobFlow", {"Name": "x"})
    with pytest.raises(AssertionError, match=r"RunJobFlow\.Name has 257 characters, not 0 to 256"):
        check("RunJobFlow", {"Name": "x" * 257, "Instances": {}})
    with pytest.raises(AssertionError, match="is not one of"):
        check("AddJobFlowSteps", {"JobFlowId": "j-1", "Steps": [step("x", ActionOnFailure="SHRUG")]})


def step(*args: str, **changes: Any) -> dict[str, Any]:
    return {"Name": "x", "ActionOnFailure": "CONTINUE", "HadoopJarStep": {"Jar": "x", "Args": list(args)}} | changes


VOLUME = {
    "EbsBlockDeviceConfigs": [
        {"VolumeSpecification": {"VolumeType": "gp3", "SizeInGB": 64}, "VolumesPerInstance": 1},
    ],
    "EbsOptimized": True,
}


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
                    "EbsConfiguration": VOLUME,
                },
                {
                    "Name": "core",
                    "InstanceRole": "CORE",
                    "Market": "ON_DEMAND",
                    "InstanceType": "m5.xlarge",
                    "InstanceCount": 2,
                    "EbsConfiguration": VOLUME,
                    "Configurations": [
                        {
                            "Classification": "yarn-site",
                            "Properties": {"yarn.nodemanager.resource.memory-mb": "12288"},
                        }
                    ],
                },
            ],
            "KeepJobFlowAliveWhenNoSteps": True,
            "TerminationProtected": False,
        },
        "EbsRootVolumeSize": 20,
        "Configurations": configurations(SETTINGS, PLAN),
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


@pytest.mark.parametrize("release", ["emr-7.14.0", "emr-spark-8.1.0"])
def test_a_cluster_with_everything(release: str) -> None:
    chosen = settings(
        subnets=("subnet-1", "subnet-2"),
        primary_security_group="sg-1",
        core_security_group="sg-2",
        service_security_group="sg-3",
        security_configuration="sealed",
        bootstrap="s3://bucket/lake/bootstrap/0123456789ab",
        tags={"team": "fruit", "orchard:run": "nobody's"},
        idle_minutes=1,
        release=release,
    )
    types = ("c7g.2xlarge", "m7g.2xlarge")
    request = job_flow(
        chosen, plan(keep_cluster=True, instance_type=types[0], instance_types=types, spot=True, core_nodes=7, vcpus=56)
    )
    check("RunJobFlow", request)
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
    assert request["AutoTerminationPolicy"] == {"IdleTimeout": 60}  # EMR's least
    assert request["ReleaseLabel"] == release


def test_a_cluster_that_emr_would_refuse_is_never_asked_for() -> None:
    with pytest.raises(EmrRuleError) as refused:
        job_flow(settings(release="emr-5.36.0", subnets=("net-1",), tags={"team": "fruit & more"}), PLAN)
    assert str(refused.value) == (
        "EMR would refuse this RunJobFlow; mend the settings:\n"
        "- ReleaseLabel: expected emr-7.*.* or emr-spark-8.*.*, such as emr-7.14.0, got 'emr-5.36.0'\n"
        "- Ec2SubnetId: expected subnet-..., got 'net-1'\n"
        "- Tags: Value 'fruit & more': expected letters, digits, spaces and _ . : / = + - @, got &"
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("scheduled__2026-03-01T00:00:00+00:00", "scheduled__2026-03-01T00:00:00+00:00"),
        ("s3://bucket/lake", "s3://bucket/lake"),
        ("obst wähler 7", "obst wähler 7"),
        ("~me~", "=7Eme=7E"),
        ("a=41", "a=3D41"),
        ("100%25", "100=2525"),
        ("\N{GREEN APPLE}\n", "=F0=9F=8D=8F=0A"),
        ("aws:x", "=61ws:x"),
        ("AWS:x", "=41WS:x"),
    ],
)
def test_what_ec2_does_not_take_as_a_tag(text: str, value: str) -> None:
    assert as_tag(text) == value
    assert from_tag(value) == text


@given(st.text(st.characters(codec="utf-8"), max_size=80))
def test_every_text_comes_back_from_a_tag(text: str) -> None:
    assert from_tag(as_tag(text)) == text
    assert re.fullmatch(r"[\w .:/=+@-]*", as_tag(text))


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


def test_a_run_whose_id_is_too_long_for_a_tag_is_told_so() -> None:
    """Cut short, it would not be found again; and the reaper would take its cluster for nobody's."""
    with pytest.raises(EmrRuleError, match=r"expected 0 to 256 characters, got 258"):
        job_flow(SETTINGS, plan(dag_run_id="~" * 86))


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
