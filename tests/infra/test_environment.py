"""Environments: what their files may say, and what is refused before anything is asked of AWS."""

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from infra.airflow import instructions
from infra.environment import FOLDER, Environment, Source, read
from infra.errors import InfraError
from infra.stack import Stack
from spark_jobs.extractor.architectures import ARCHITECTURES
from tests.infra.environments import ACCOUNT

OUTPUTS = {
    "Lake": "s3://orchard-prod-1/lake",
    "Photos": "s3://orchard-prod-1/photos/",
    "Database": "orchard_prod",
    "ServiceRole": "orchard-prod-emr-service",
    "NodeProfile": "orchard-prod-emr-node",
    "PrimarySecurityGroup": "sg-1",
    "CoreSecurityGroup": "sg-2",
    "ServiceSecurityGroup": "sg-3",
    "SecurityConfiguration": "orchard-prod",
    "Subnets": "subnet-1,subnet-2",
}
EXTRACTOR = "mobilenet_v2-f32-575378b4658d"


def refusal(text: str, folder: Path, name: str = "prod") -> str:
    (folder / f"{name}.toml").write_text(text)
    with pytest.raises(InfraError) as refused:
        read(name, folder)
    return str(refused.value)


def test_what_airflow_gets() -> None:
    settings = {"max_core_nodes": 4, "tags": {"team": "fruit"}}
    chosen = Environment(name="prod", region="us-east-1", outside_eu=True, settings=settings)
    assert chosen.variable(OUTPUTS, EXTRACTOR, "s3://orchard-prod-1/lake/bootstrap/1") == {
        "lake": "s3://orchard-prod-1/lake",
        "prefixes": ["s3://orchard-prod-1/photos/"],
        "extractor": EXTRACTOR,
        "region": "us-east-1",
        "outside_eu": True,
        "database": "orchard_prod",
        "service_role": "orchard-prod-emr-service",
        "instance_profile": "orchard-prod-emr-node",
        "primary_security_group": "sg-1",
        "core_security_group": "sg-2",
        "service_security_group": "sg-3",
        "security_configuration": "orchard-prod",
        "subnets": ["subnet-1", "subnet-2"],
        "bootstrap": "s3://orchard-prod-1/lake/bootstrap/1",
        "max_core_nodes": 4,
        "tags": {"orchard:environment": "prod", "team": "fruit"},
    }


def test_airflow_is_told_of_the_queue_of_events_where_there_is_one() -> None:
    made = "https://sqs.eu-west-1.amazonaws.com/123456789012/orchard-prod-events"
    chosen = Environment(name="prod")
    assert "events_queue" not in chosen.variable(OUTPUTS, EXTRACTOR)
    assert chosen.variable(OUTPUTS | {"EventsQueue": made}, EXTRACTOR)["events_queue"] == made


def test_what_a_bucket_of_others_and_airflow_need_for_events(tmp_path: Path) -> None:
    policies = {"AirflowPolicyArn": "arn:1", "EventsPolicyArn": "arn:2"}
    outputs = {"Bucket": "orchard-prod-1", "EventsQueueArn": "arn:aws:sqs:eu-west-1:1:orchard-prod-events", **policies}
    variable = {"region": "eu-west-1"}
    told = instructions(outputs | {"Photos": "s3://fruits/2026/"}, variable, tmp_path / "prod.json")
    (command,) = [line for line in told.splitlines() if "put-bucket-notification-configuration" in line]
    words = shlex.split(command)
    assert words[:5] == ["aws", "s3api", "put-bucket-notification-configuration", "--bucket", "fruits"]
    given = json.loads(words[6])
    # As the service model has it.
    client = boto3.client("s3", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stubber:
        asked = {"Bucket": "fruits", "NotificationConfiguration": given}
        stubber.add_response("put_bucket_notification_configuration", {}, asked)
        client.put_bucket_notification_configuration(**asked)
    assert given["QueueConfigurations"][0]["Filter"]["Key"]["FilterRules"] == [{"Name": "prefix", "Value": "2026/"}]
    assert "gets these policies, by" in told
    assert [line.rpartition(" ")[2] for line in told.splitlines() if "attach-role-policy" in line] == ["arn:1", "arn:2"]
    assert "Filter" not in instructions(outputs | {"Photos": "s3://fruits/"}, variable, tmp_path / "prod.json")
    own = instructions(outputs | {"Photos": "s3://orchard-prod-1/photos/"}, variable, tmp_path / "prod.json")
    assert own.startswith("What Airflow needs:\n")


def test_the_example_is_what_it_says(tmp_path: Path) -> None:
    """As it is, all of it is the default; and what is commented out can be used."""
    shutil.copy(FOLDER / "example.toml", tmp_path / "prod.toml")
    assert read("prod", tmp_path) == Environment(name="prod")
    example = (FOLDER / "example.toml").read_text("utf-8")
    (tmp_path / "all.toml").write_text(re.sub(r"(?m)^# (?=\w+ = )", "", example))
    chosen = read("all", tmp_path)
    assert chosen.account == "123456789012"
    assert chosen.outside_eu
    assert chosen.parameters["PhotosPrefix"] == "2026/"
    assert chosen.extractor == Source(artefact=f"extractors/{EXTRACTOR}.zip")
    assert chosen.settings["spot"] is True
    assert chosen.architectures == ["x86_64"]


def test_the_one_of_this_machine_goes_nowhere_else() -> None:
    assert read("local").account == ACCOUNT


def test_nodes_are_of_one_architecture(tmp_path: Path) -> None:
    (tmp_path / "arm.toml").write_text('[settings]\ninstance_types = ["m7g.xlarge", "m6g.xlarge"]')
    assert read("arm", tmp_path).architectures == ["aarch64"]


EU = "eu-central-1, eu-north-1, eu-south-1, eu-south-2, eu-west-1, eu-west-3, eusc-de-east-1"
KNOWN = "outside_eu, region, account, parameters, extractor, settings"
FOLLOWS = "expected none: it follows from the stack and from the rest of the file; take it out."
TEXT = "expected text in quotes;"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'region = "us-east-1"',
            f'region: got "us-east-1", expected one in the EU, where the data are to stay: {EU}; '
            "if another is meant, say so outright: outside_eu = true.",
        ),
        ('colour = "red"', f'colour: got "red", expected some of {KNOWN}; take it out.'),
        ('regions = "eu-west-3"', 'regions: got "eu-west-3", expected region; correct the name.'),
        ('name = "red"', f'name: got "red", expected some of {KNOWN}; take it out.'),
        ('outside_eu = "no"', 'outside_eu: got "no", expected true or false; correct it, or leave it out for false.'),
        *(
            (f"account = {value}", f"account: got {value}, expected 12 digits in quotes; correct it, or leave it out.")
            for value in ('"123"', "123456789012")
        ),
        *(
            (
                f'region = "eu-west-9"{more}',
                f'region: got "eu-west-9", expected a region that boto knows of; correct it; those in the EU are {EU}.',
            )
            for more in ("", "\noutside_eu = true")
        ),
        ("parameters = 3", "parameters: got 3, expected names with text in quotes; correct it, or leave it out."),
        (
            '[parameters]\nAlarmMail = "a@b"\nMonthlyBudgetDollars = 200\nWithStudio = true\nSubnetIds = ["a"]',
            f'parameters.MonthlyBudgetDollars: got 200, {TEXT} write "200".\n'
            f'parameters.WithStudio: got true, {TEXT} write "true".\n'
            f'parameters.SubnetIds: got ["a"], {TEXT} correct it, or leave it out.',
        ),
        ('[parameters]\nEnvironment = "x"', f'parameters.Environment: got "Environment", {FOLLOWS}'),
        (
            '[extractor]\narchitecture = "vgg16"',
            f'extractor.architecture: got "vgg16", expected any of {len(ARCHITECTURES)} names; '
            f"take one of {', '.join(sorted(ARCHITECTURES))}.",
        ),
        (
            '[extractor]\nprecision = "int8"',
            "extractor.calibrate: got null, expected a folder of photos with precision int8, and none with f32; "
            "change one of the two.",
        ),
        (
            '[extractor]\ncalibrate = "photos"',
            'extractor.calibrate: got "photos", expected a folder of photos with precision int8, and none with f32; '
            "change one of the two.",
        ),
        (
            "[extractor]\nbatch = 8",
            "extractor.batch: got 8, expected some of architecture, precision, weights, artefact, calibrate; "
            "take it out.",
        ),
        ('[settings]\nlake = "s3://x/y"', f'settings.lake: got "s3://x/y", {FOLLOWS}'),
        (
            "[settings]\nmax_core_nodes = 0",
            "settings.max_core_nodes: got 0, expected a whole number, 1 to 1000; correct it, or leave it out for 10.",
        ),
        (
            '[settings]\ninstance_types = ["m7g.xlarge", "m5.xlarge"]',
            'settings.instance_types: got ["m7g.xlarge", "m5.xlarge"], expected one architecture: '
            "the nodes' Python is built for one; take types of x86 alone, or of arm64 (Graviton) alone.",
        ),
    ],
)
def test_what_cannot_be_meant(text: str, message: str, tmp_path: Path) -> None:
    assert refusal(text, tmp_path) == f"{tmp_path}/prod.toml:\n{message}"


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    """In every table of the file."""
    text = """
        name = "red"
        region = "eu-west-9"
        account = 7
        [parameters]
        OutsideEu = "true"
        WithStudio = true
        [extractor]
        architecture = "vgg16"
        precision = "int8"
        [settings]
        python = "/usr/bin/python3"
        ebs_gib = 9
        min_core_nodes = 20
        colour = "red"
    """
    _, *lines = refusal(text, tmp_path).split("\n")
    assert [line.partition(": got ")[0] for line in lines] == [
        "region",
        "account",
        "parameters.OutsideEu",
        "parameters.WithStudio",
        "extractor.architecture",
        "extractor.calibrate",
        "settings.python",
        "settings.ebs_gib",
        "settings.max_core_nodes",
        "settings.colour",
        "name",
    ]


def test_prefixes_that_only_the_stack_shows_to_be_wrong() -> None:
    chosen = Environment(name="prod", settings={"prefixes": ["s3://orchard-prod-1/"]})
    with pytest.raises(
        InfraError, match=r'^Setting prefixes\[0\]: got "s3://orchard-prod-1/", expected a place beside'
    ):
        chosen.variable(OUTPUTS, EXTRACTOR)


def test_what_is_no_toml(tmp_path: Path) -> None:
    assert "prod.toml is no TOML: " in refusal("region: eu-west-1", tmp_path)


@pytest.mark.parametrize("name", ["Prod", "prod-2", "1st", "", "a" * 17, "../x"])
def test_names(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        InfraError, match=r"^ENV: got .*, expected 1 to 16 lower-case letters and digits, a letter first; "
    ):
        read(name, tmp_path)


@pytest.mark.parametrize(
    ("status", "what"),
    [
        ("UPDATE_ROLLBACK_FAILED", "`aws cloudformation continue-update-rollback --stack-name orchard-prod --region "),
        ("UPDATE_FAILED", "`aws cloudformation rollback-stack --stack-name orchard-prod --region eu-west-1`"),
        ("DELETE_FAILED", "its deletion failed. `make undeploy ENV=prod` goes on with it."),
    ],
)
def test_stacks_that_nobody_can_update(status: str, what: str) -> None:
    """States that no emulator can be brought to; CloudFormation's own model checks the answers."""
    client = boto3.client("cloudformation", "eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
    stack = {"StackName": "orchard-prod", "StackId": "arn", "CreationTime": "2026-03-01", "StackStatus": status}

    def event(number: int, resource: str, state: str, reason: str, physical: str = "x") -> dict[str, Any]:
        return {
            "StackId": "arn",
            "EventId": str(number),
            "StackName": "orchard-prod",
            "LogicalResourceId": resource,
            "PhysicalResourceId": physical,
            "ResourceType": "AWS::IAM::Role",
            "Timestamp": "2026-03-01",
            "ResourceStatus": state,
            "ResourceStatusReason": reason,
        }

    events = [  # newest first
        event(5, "NodeRole", "UPDATE_FAILED", "Resource update cancelled"),
        event(4, "ServiceRole", "UPDATE_FAILED", "Rate exceeded"),
        event(3, "orchard-prod", "UPDATE_IN_PROGRESS", "User Initiated", "arn"),
        event(2, "Bucket", "CREATE_FAILED", "of long ago"),
        event(1, "orchard-prod", "CREATE_IN_PROGRESS", "User Initiated", "arn"),
    ]
    with Stubber(client) as stub:
        stub.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": "orchard-prod"})
        stub.add_response("describe_stack_events", {"StackEvents": events}, {"StackName": "arn"})
        with pytest.raises(InfraError) as refused:
            Stack(client, "orchard-prod", "prod").check_usable()
    assert str(refused.value).startswith(f"Stack orchard-prod is {status}: ")
    assert what in str(refused.value)
    assert str(refused.value).endswith("\nThe first failure: ServiceRole (AWS::IAM::Role): Rate exceeded")
