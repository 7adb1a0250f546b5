"""Environments: what their files may say, and what is refused before anything is asked of AWS."""

import re
import shutil
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from infra.environment import FOLDER, Environment, Source, read
from infra.errors import InfraError
from infra.stack import Stack
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
    return str(refused.value).removeprefix(f"{folder}/{name}.toml: ")


def test_what_airflow_gets() -> None:
    settings = {"max_core_nodes": 4, "tags": {"team": "fruit"}}
    chosen = Environment("prod", "us-east-1", outside_eu=True, settings=settings)
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


def test_the_example_is_what_it_says(tmp_path: Path) -> None:
    """As it is, all of it is the default; and what is commented out can be used."""
    shutil.copy(FOLDER / "example.toml", tmp_path / "prod.toml")
    assert read("prod", tmp_path) == Environment("prod")
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
    message = refusal('[settings]\ninstance_types = ["m7g.xlarge", "m5.xlarge"]', tmp_path)
    assert message.startswith("settings: Setting instance_types: expected one architecture")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('region = "us-east-1"', "region: us-east-1 is outside the EU, where the data are to stay; expected one of "),
        ('colour = "red"', "colour: unknown; expected some of account, extractor, outside_eu, parameters, "),
        ('name = "red"', "name: unknown; expected some of "),
        ('outside_eu = "no"', "outside_eu: expected true or false, got 'no'."),
        ('account = "123"', "account: expected 12 digits, got '123'."),
        (
            'region = "eu-west-9"',
            "region: there is no region eu-west-9 that boto knows of; those in the EU are eu-central-1, ",
        ),
        ('region = "eu-west-9"\noutside_eu = true', "region: there is no region eu-west-9 that boto knows of; "),
        ("parameters = 3", "parameters: expected a table, got 3."),
        (
            '[parameters]\nAlarmMail = "a@b"\nMonthlyBudgetDollars = 200\nWithStudio = true\nSubnetIds = ["a"]',
            'parameters: MonthlyBudgetDollars = 200: expected text in quotes, "200"; '
            'parameters: WithStudio = true: expected text in quotes, "true"; '
            "parameters: SubnetIds: expected text in quotes, got ['a'].",
        ),
        ('[parameters]\nEnvironment = "x"', "parameters.Environment: expected none: it follows from the rest"),
        ('[extractor]\narchitecture = "vgg16"', "extractor.architecture: expected ['mobilenet_v2', "),
        ('[extractor]\nprecision = "int8"', "extractor.calibrate: expected a folder of photos with precision int8, "),
        ("[extractor]\nbatch = 8", "extractor.batch: unknown; expected some of architecture, artefact, calibrate, "),
        ('[settings]\nlake = "s3://x/y"', "settings: lake follow from the stack and from the rest of the file"),
        ("[settings]\nmax_core_nodes = 0", "settings: Setting max_core_nodes: expected no less than min_core_nodes"),
    ],
)
def test_what_cannot_be_meant(text: str, message: str, tmp_path: Path) -> None:
    assert refusal(text, tmp_path).startswith(message)


def test_what_is_no_toml(tmp_path: Path) -> None:
    assert "prod.toml is no TOML: " in refusal("region: eu-west-1", tmp_path)


@pytest.mark.parametrize("name", ["Prod", "prod-2", "1st", "", "a" * 17, "../x"])
def test_names(name: str, tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="ENV: expected 1 to 16 lower-case letters and digits, a letter first, got "):
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
