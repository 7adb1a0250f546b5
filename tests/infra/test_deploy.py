"""`make deploy` and `make undeploy` against a real HTTP AWS: its CloudFormation, S3, Glue, KMS and IAM."""

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra import deploy, document
from infra.__main__ import main
from infra.stack import DIRECT_BYTES
from local.template import TEMPLATE, UNKNOWN, local_template
from orchard.cluster.jobs import SCRIPTS
from orchard.settings import Settings
from tests.airflow_home import ENVIRONMENT as _OF_AIRFLOW  # noqa: F401 - imported before Airflow is
from tests.conftest import Aws
from tests.infra.environments import Place, small_wheels
from tests.local.emr.servers import LocalEmr

OURS = document.dump(document.load(local_template(TEMPLATE.read_text("utf-8"))))

# A template of our form that is made in no time, and fails where it is told to.
SMALL: dict[str, Any] = {
    "Parameters": {
        "Environment": {"Type": "String"},
        "OutsideEu": {"Type": "String"},
        "Policy": {"Type": "String", "Default": "good"},
    },
    "Resources": {
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "DeletionPolicy": "Retain",
            "Properties": {
                "BucketName": {"Fn::Sub": "orchard-${Environment}-${AWS::AccountId}-${AWS::Region}"},
                "VersioningConfiguration": {"Status": "Enabled"},
            },
        },
        "AirflowPolicy": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "ManagedPolicyName": {"Fn::Sub": "orchard-${Environment}-airflow"},
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": {"Ref": "Policy"}}],
                },
            },
        },
    },
    "Outputs": {
        "Bucket": {"Value": {"Ref": "Bucket"}},
        "Lake": {"Value": {"Fn::Sub": "s3://${Bucket}/lake"}},
        "Photos": {"Value": {"Fn::Sub": "s3://${Bucket}/photos/"}},
        "AirflowPolicyArn": {"Value": {"Ref": "AirflowPolicy"}},
    },
}
# It fails when it is made, not before.
BROKEN = {
    "Type": "AWS::IAM::Policy",
    "Properties": {"PolicyName": "p", "Roles": ["no-such-role"], "PolicyDocument": {"Statement": []}},
}


def small(**more: Any) -> str:
    return json.dumps({**SMALL, "Resources": {**SMALL["Resources"], **more}})


@pytest.fixture(scope="module")
def server(aws_server: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEmr]:
    """Start an EMR that can rent clusters."""
    emr = LocalEmr(aws_server, tmp_path_factory.mktemp("emr") / "data")
    yield emr
    assert emr.stop() == 0


@pytest.fixture
def place(aws: Aws, server: LocalEmr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Give an environment of its own, which nobody can be asked about."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_EMR", server.url)
    monkeypatch.setenv("AIRFLOW__LOGGING__LOGGING_LEVEL", "INFO")  # later tests are to find Airflow's log as it is
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    root = tmp_path / "environments"
    root.mkdir()
    small_wheels(root / "wheelhouse")
    return Place(root)


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """Return what was said, and the error without what other tests' Airflow logs before it."""
    out, err = capsys.readouterr()
    return out, err[err.find("error: ") :] if "error: " in err else ""


def error(capsys: pytest.CaptureFixture[str]) -> str:
    return said(capsys)[1]


def objects(aws: Aws, bucket: str) -> dict[str, str]:
    """List the objects of a bucket, with their versions."""
    listed = aws.client("s3").list_object_versions(Bucket=bucket).get("Versions", ())
    return {one["Key"]: one["VersionId"] for one in listed}


def status(aws: Aws, env: str) -> str | None:
    try:
        (found,) = aws.client("cloudformation").describe_stacks(StackName=f"orchard-{env}")["Stacks"]
    except ClientError:
        return None
    return str(found["StackStatus"])


def test_what_this_machine_cannot_make_is_a_short_list() -> None:
    """The stack that is tried here lacks these types, and nothing else."""
    ours, local = document.load(TEMPLATE.read_text("utf-8")), document.load(OURS)
    missing = {name: one["Type"] for name, one in ours["Resources"].items() if name not in local["Resources"]}
    assert missing.pop("StudioUserPolicy") == "AWS::IAM::ManagedPolicy"  # it names the Studio by its id
    assert missing.pop("BucketPolicy") == "AWS::S3::BucketPolicy"  # it says TlsOnly, and nothing else
    assert set(missing.values()) == set(UNKNOWN)
    assert ours["Outputs"].keys() - local["Outputs"].keys() == {"StudioUrl", "StudioUserPolicyArn"}
    left = {one for part in (local["Resources"], local["Outputs"]) for one in document.references(part)}
    assert not left & {*missing, "StudioUserPolicy", "BucketPolicy"}
    notebooks = local["Outputs"]["NotebookSecurityConfiguration"]
    assert notebooks["Value"] == {"Fn::Sub": "orchard-${Environment}-notebook"}


def test_what_is_spoken_to_without_tls_loses_the_statements_that_deny_it_and_no_other() -> None:
    ours, local = document.load(TEMPLATE.read_text("utf-8")), document.load(OURS)
    (lost,) = ours["Resources"]["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    topic = ours["Resources"]["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (lost["Sid"], topic.pop(0)["Sid"]) == ("TlsOnly", "TlsOnly")
    kept = local["Resources"]["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert [one["Sid"] for one in kept] == ["CloudWatch", "EventBridge"]
    queue = ours["Resources"]["EventsQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert queue.pop(0)["Sid"] == "TlsOnly"
    assert {name: ours["Resources"][name] for name in local["Resources"]} == local["Resources"]


def test_from_nothing_to_daily_runs_and_back(place: Place, aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    """The story of an environment, with the real stack and a real export."""
    place.write('[parameters]\nWithEvents = "true"\n[extractor]\nweights = "random:0"\n[settings]\nmax_core_nodes = 3')
    template = json.dumps(json.loads(OURS), indent=2)
    assert len(template) > DIRECT_BYTES  # and so goes by way of the bucket

    assert place.deploy(template) == 2  # nobody says yes
    out, err = said(capsys)
    assert out.splitlines()[1] == "Exporting the extractor; about half a minute"
    assert "Downloading" not in out  # the wheels are there
    assert "  add      Bucket  AWS::S3::Bucket" in out
    assert "CREATE_IN_PROGRESS" not in out
    assert err.startswith("error: Nobody can be asked here, so nothing more was done. To go on without: YES=1")
    assert status(aws, place.env) is None

    assert place.deploy(template, "--yes") == 0
    out = capsys.readouterr().out
    assert "Exporting" not in out  # that, too, now
    first = [line.split()[1] for line in out.partition("Then the rest:")[0].splitlines() if line.startswith("  add ")]
    assert first == ["Bucket", "Database", "Key"]
    assert "  add      ServiceRole  AWS::IAM::Role" in out.partition("Then the rest:")[2]
    assert "  CREATE_COMPLETE              Key\n" in out
    (command,) = re.findall(r"airflow variables set orchard '(.*)'", out)
    settings = Settings.parse(json.loads(command))
    assert json.loads((place.root / "deploy" / f"{place.env}.json").read_text()) == json.loads(command)
    assert settings.lake == f"s3://{place.bucket}/lake"
    assert settings.prefixes == (f"s3://{place.bucket}/photos/",)
    assert settings.extractor.startswith("mobilenet_v2-f32-")
    assert settings.database == f"orchard_{place.env}"
    assert settings.service_role == f"orchard-{place.env}-emr-service"
    assert settings.instance_profile == f"orchard-{place.env}-emr-node"
    assert settings.security_configuration == f"orchard-{place.env}"
    assert len(settings.subnets) == 2
    queue, sqs = {"QueueUrl": str(settings.events_queue)}, aws.client("sqs")
    assert json.loads(sqs.receive_message(**queue)["Messages"][0]["Body"])["Event"] == "s3:TestEvent"
    assert f"--policy-arn arn:aws:iam::000000000000:policy/orchard-{place.env}-events" in out
    assert settings.max_core_nodes == 3
    assert settings.tags == {"orchard:environment": place.env}
    assert f"--policy-arn arn:aws:iam::000000000000:policy/orchard-{place.env}-airflow" in out
    wheels = settings.bootstrap.rpartition("/")[2] if settings.bootstrap else ""
    there = objects(aws, place.bucket)
    kinds = sorted(re.sub("[0-9a-f]{12,}", "…", key) for key in there)
    assert kinds == sorted(
        [
            "lake/bootstrap/…/SHA256SUMS",
            "lake/bootstrap/…/install.sh",
            "lake/bootstrap/…/requirements-x86_64.txt",
            "lake/bootstrap/…/wheels-x86_64.tar",
            "lake/code/spark_jobs-….zip",
            *(f"lake/code/…/{script}.py" for script in SCRIPTS),
            "lake/extractors/mobilenet_v2-f32-….zip",
            "templates/….yaml",
        ]
    )
    assert f"lake/bootstrap/{wheels}/install.sh" in there
    assert f"lake/extractors/{settings.extractor}.zip" in there

    assert place.deploy(template) == 0  # without a yes: there is nothing to ask
    out = capsys.readouterr().out
    assert "Nothing is to be changed, and nothing to be uploaded.\n" in out
    assert "airflow variables set orchard" in out
    assert objects(aws, place.bucket) == there

    aws.client("s3").put_object(Bucket=place.bucket, Key="photos/Plum/1.jpg", Body=b"photo")
    told = [json.loads(one["Body"]) for one in sqs.receive_message(**queue, MaxNumberOfMessages=10)["Messages"]]
    assert [one["s3"]["object"]["key"] for body in told for one in body["Records"]] == ["photos/Plum/1.jpg"]
    table = {"Name": "embeddings", "StorageDescriptor": {"Location": f"{settings.lake}/tables/embeddings"}}
    aws.client("glue").create_table(DatabaseName=settings.database, TableInput=table)
    assert place.run("undeploy") == 2
    assert status(aws, place.env) == "UPDATE_COMPLETE"
    assert place.run("undeploy", "--yes") == 0
    out = capsys.readouterr().out
    assert "  remove   ServiceRole  AWS::IAM::Role\n" in out
    assert f"  stays    Bucket  AWS::S3::Bucket  {place.bucket}\n" in out
    assert f"`make undeploy ENV={place.env} DELETE_DATA={place.env}` deletes the data, too.\n" in out
    assert objects(aws, place.bucket).keys() == {*there, "photos/Plum/1.jpg"}
    assert aws.client("glue").get_table(DatabaseName=settings.database, Name="embeddings")
    with pytest.raises(ClientError, match=r"NonExistentQueue|QueueDoesNotExist"):
        sqs.receive_message(**queue)
    assert "QueueConfigurations" not in aws.client("s3").get_bucket_notification_configuration(Bucket=place.bucket)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        aws.client("iam").get_role(RoleName=settings.service_role)
    assert place.run("undeploy") == 0
    assert "Nothing but what holds data is there.\n" in capsys.readouterr().out

    assert place.deploy(template, "--yes") == 0
    out = capsys.readouterr().out
    assert "There is no such stack" not in out
    assert "upload" not in out.partition("What Airflow")[0]
    assert aws.client("iam").get_role(RoleName=settings.service_role)

    assert place.run("undeploy", "--yes", "--delete-data", "prod") == 2
    assert error(capsys) == (f"error: --delete-data prod: the environment is {place.env}. Nothing was deleted.\n")
    assert place.run("undeploy", "--yes", "--delete-data") == 2  # the name is asked for, whatever --yes says
    assert "photos/Plum/1.jpg" in objects(aws, place.bucket)
    arn = _output(aws, place.env, "KeyArn")
    assert place.run("undeploy", "--delete-data", place.env) == 0
    out = capsys.readouterr().out
    assert f"  DATA     Bucket  AWS::S3::Bucket  {place.bucket}\n" in out
    assert f"  Glue database {settings.database} with 1 tables is gone\n" in out
    assert out.endswith(f"Stack orchard-{place.env} is gone, and so are the data.\n")
    assert status(aws, place.env) is None
    with pytest.raises(ClientError, match="404"):
        aws.client("s3").head_bucket(Bucket=place.bucket)
    with pytest.raises(ClientError, match="EntityNotFound"):
        aws.client("glue").get_database(Name=settings.database)
    assert aws.client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    assert place.run("undeploy") == 0
    assert capsys.readouterr().out.endswith("There is no such stack: nothing is to be undeployed.\n")


def _output(aws: Aws, env: str, name: str) -> str:
    (found,) = aws.client("cloudformation").describe_stacks(StackName=f"orchard-{env}")["Stacks"]
    return {str(one["OutputKey"]): str(one["OutputValue"]) for one in found["Outputs"]}[name]


def test_a_creation_that_fails_leaves_nothing(place: Place, aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    """What holds data is made first, and fails here; the next deployment begins afresh."""
    place.write()
    broken = {**BROKEN, "DeletionPolicy": "Retain"}
    assert place.deploy(small(Broken=broken), "--yes") == 2
    out, err = said(capsys)
    assert "  CREATE_FAILED                Broken  " in out
    assert err.startswith(f"error: Stack orchard-{place.env} is ")
    assert "\nThe first failure: Broken (AWS::IAM::Policy): " in err
    assert "no-such-role" in err
    with pytest.raises(ClientError, match="404"):
        aws.client("s3").head_bucket(Bucket=place.bucket)
    _until_gone(aws, place.env)
    assert place.deploy(small(), "--yes") == 0


def _until_gone(aws: Aws, env: str) -> None:
    until = time.monotonic() + 30
    while status(aws, env) is not None:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_an_update_that_fails_is_undone(place: Place, aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    place.write()
    assert place.deploy(small(), "--yes") == 0
    assert place.deploy(small(Broken=BROKEN), "--yes") == 2
    err = error(capsys)
    assert err.startswith(f"error: Stack orchard-{place.env} is UPDATE_ROLLBACK_COMPLETE: it failed, and was undone.\n")
    assert "The first failure: Broken (AWS::IAM::Policy): " in err
    assert place.deploy(small()) == 0
    assert "Nothing is to be changed" in capsys.readouterr().out


def test_a_stack_that_can_only_be_deleted(place: Place, aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    place.write()
    aws.client("cloudformation").create_stack(
        StackName=f"orchard-{place.env}",
        TemplateBody=json.dumps({"Resources": {"Broken": BROKEN}}),
        Capabilities=["CAPABILITY_IAM"],
    )
    while status(aws, place.env) in ("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"):
        time.sleep(0.1)
    assert place.deploy(small(), "--yes") == 2
    err = error(capsys)
    assert err.startswith(
        f"error: Stack orchard-{place.env} is ROLLBACK_COMPLETE: its creation failed and was undone. "
        f"`make undeploy ENV={place.env}` removes what is left of it; then deploy again.\n"
        "The first failure: Broken (AWS::IAM::Policy): "
    )
    assert place.run("undeploy", "--yes") == 0
    assert status(aws, place.env) is None
    assert place.deploy(small(), "--yes") == 0


def test_a_stack_that_somebody_is_at_work_on(place: Place, aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    place.write()
    cloudformation, name = aws.client("cloudformation"), f"orchard-{place.env}"
    handle = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
    wait = {"Type": "AWS::CloudFormation::WaitCondition", "Properties": {"Handle": {"Ref": "H"}, "Timeout": "3"}}
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": {"H": handle, "W": wait}}))
    assert place.deploy(small(), "--yes") == 2
    assert error(capsys) == (
        f"error: Stack {name} is CREATE_IN_PROGRESS: somebody else, or an earlier command, is at work. Wait until it "
        f"ends: `aws cloudformation describe-stack-events --stack-name {name} --region eu-west-1` shows it.\n"
    )


def test_a_parameter_that_the_template_does_not_have(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write('[parameters]\nColour = "red"')
    assert place.deploy(small(), "--yes") == 2
    err = error(capsys)
    assert err == (
        'error: parameters.Colour: got "red", expected a parameter of the template: Policy; '
        "take it out, or correct the name.\n"
    )


def test_a_value_that_the_template_does_not_allow(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write('[parameters]\nAlarmMail = "nobody"')
    assert place.deploy(OURS, "--yes") == 2
    out, err = said(capsys)
    assert out == ""  # before anything is asked or made
    assert err.startswith('error: parameters.AlarmMail: got "nobody", expected text that matches ')


@pytest.mark.parametrize(
    "text", ["# Orchard\n\n`make` it: `now`", "Resources: here", "- Resources", "", "{", b"\xff\xfe"]
)
def test_what_is_no_template(text: str | bytes, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    path = place.write().root / "template"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert place.run("deploy", "--template", str(path)) == 2
    assert error(capsys) == (
        f"error: {path} is no CloudFormation template: expected YAML or JSON with Resources, "
        "as in infra/orchard.yaml.\n"
    )


def test_wheels_that_cannot_be_had(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()
    shutil.rmtree(place.root / "wheelhouse")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert place.deploy(small(), "--yes") == 2
    out, err = said(capsys)
    assert out.splitlines()[-1] == "Downloading the wheels of the nodes' Python; a minute or so"
    assert err.startswith("error: The wheels of the nodes' Python: ")


def test_a_template_that_is_not_there(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write()
    assert place.run("deploy", "--template", str(place.root)) == 2
    assert error(capsys) == f"error: The template {place.root} cannot be read: Is a directory.\n"
    assert place.run("deploy", "--template", "no/such.yaml") == 2
    assert error(capsys) == "error: The template no/such.yaml cannot be read: No such file or directory.\n"


@pytest.mark.parametrize(("arguments", "status_"), [(["--help"], 0), (["-h"], 0), ([], 2), (["deplyo", "prod"], 2)])
def test_the_commands_are_listed(arguments: list[str], status_: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == status_
    assert re.findall(r"(?m)^  (\w+) {2,}\w", capsys.readouterr().out) == ["deploy", "undeploy", "mwaa"]


def test_a_changed_parameter_is_shown_and_applied(place: Place, aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    place.write()
    assert place.deploy(small(), "--yes") == 0
    capsys.readouterr()
    place.write('[parameters]\nPolicy = "arn:aws:s3:::other/*"')
    assert place.deploy(small(), "--yes") == 0
    assert "  change   AirflowPolicy  AWS::IAM::ManagedPolicy  (PolicyDocument)\n" in capsys.readouterr().out


def test_another_extractor_is_said(place: Place, aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    place.write()
    assert place.deploy(small(), "--yes") == 0
    s3 = aws.client("s3")
    (first,) = (key for key in objects(aws, place.bucket) if "/extractors/" in key)
    s3.put_object(Bucket=place.bucket, Key="lake/extractors/resnet50-f32-000000000000.zip", Body=b"")
    s3.delete_object(Bucket=place.bucket, Key=first)
    assert place.deploy(small(), "--yes") == 0
    out = capsys.readouterr().out
    assert "  This extractor is another than resnet50-f32-000000000000: the next run embeds every photo anew.\n" in out


def test_a_bucket_that_was_left_without_its_stack(place: Place, aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    place.write()
    where = {"LocationConstraint": "eu-west-1"}
    aws.client("s3").create_bucket(Bucket=place.bucket, CreateBucketConfiguration=where)
    assert place.deploy(small(), "--yes") == 2
    assert error(capsys).startswith(
        f"error: There is no stack orchard-{place.env}, but its bucket {place.bucket} is there: the stack was deleted, "
        "and not by `make undeploy`. "
    )


def test_another_account(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write(account='"123456789012"')
    for command in ("deploy", "undeploy"):
        assert place.run(command) == 2
        assert error(capsys) == (
            f"error: The environment {place.env} is for account 123456789012, and these are credentials of "
            "000000000000 (arn:aws:iam::000000000000:root): take others (AWS_PROFILE).\n"
        )


def test_no_credentials(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    place.write()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert place.run("deploy") == 2
    assert error(capsys) == "error: Unable to locate credentials\n"


def test_nothing_is_taken_from_under_a_cluster(
    place: Place, server: LocalEmr, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write()
    assert place.deploy(small(), "--yes") == 0
    tags = {"orchard:lake": f"s3://{place.bucket}/lake", "orchard:run": "day-1"}
    cluster = server.emr.run_job_flow(
        Name="orchard day-1",
        ReleaseLabel="emr-7.14.0",
        Instances={"MasterInstanceType": "m5.xlarge", "InstanceCount": 1, "KeepJobFlowAliveWhenNoSteps": True},
        ServiceRole="r",
        JobFlowRole="p",
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )["JobFlowId"]
    capsys.readouterr()
    for more in ((), ("--delete-data", place.env)):
        assert place.run("undeploy", "--yes", *more) == 2
        assert re.fullmatch(
            rf"error: Clusters of this lake live: {cluster} \([A-Z]+, run day-1\)\. Pause orchard_daily in Airflow, "
            rf"and wait for their runs to end, or `aws emr terminate-clusters --cluster-ids {cluster}`; then "
            r"undeploy again\.\n",
            error(capsys),
        )
    server.emr.terminate_job_flows(JobFlowIds=[cluster])
    until = time.monotonic() + 30
    while server.emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]["State"] != "TERMINATED":
        assert time.monotonic() < until
        time.sleep(0.1)
    assert place.run("undeploy", "--yes") == 0


def test_a_policy_that_somebody_else_has(place: Place, aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    place.write()
    assert place.deploy(small(), "--yes") == 0
    iam, role, policy = aws.client("iam"), f"airflow-{place.env}", _output(aws, place.env, "AirflowPolicyArn")
    iam.create_role(RoleName=role, AssumeRolePolicyDocument="{}")
    iam.attach_role_policy(RoleName=role, PolicyArn=policy)
    capsys.readouterr()
    assert place.run("undeploy", "--yes") == 2
    assert error(capsys) == (
        "error: Policies of this stack are attached elsewhere. First:\n"
        f"  aws iam detach-role-policy --role-name {role} --policy-arn {policy}\n"
    )
    iam.detach_role_policy(RoleName=role, PolicyArn=policy)
    assert place.run("undeploy", "--yes") == 0


@pytest.mark.parametrize(("answer", "status_"), [("y", 0), ("n", 1), ("", 1)])
def test_a_person_is_asked(
    answer: str,
    status_: int,
    place: Place,
    aws: Aws,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place.write()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    assert place.deploy(small()) == status_
    assert (status(aws, place.env) is None) == (status_ == 1)
    if status_:
        assert capsys.readouterr().out.endswith("Nothing more was done.\n")


def test_an_environment_without_a_file(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run("deploy", env="prod") == 2
    err = error(capsys)
    assert "prod.toml, which says what the environment prod is. Make it, and look through it:\n  cp " in err
    assert err.endswith("Environments that are there: none.\n")


def test_where_there_are_no_budgets_the_template_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "north.toml").write_text('region = "eu-north-1"\n')
    (tmp_path / "west.toml").write_text('region = "eu-west-1"\n')
    given: dict[str, str] = {}
    monkeypatch.setattr(
        deploy, "deploy", lambda chosen, template, *_: given.update({chosen.name: template})
    )  # what is sent to AWS follows from it
    for name in ("north", "west"):
        assert deploy.main([name, "--environments", str(tmp_path)]) == 0
    assert ["AWS::Budgets::Budget" in given[name] for name in ("north", "west")] == [False, True]
