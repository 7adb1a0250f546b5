"""The doctor against a real HTTP AWS: an account in which all is well, and each thing that can be wrong with it."""

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pytest

from orchard.cluster import jobs
from orchard.commands import doctor
from orchard.commands.checks import FAILED, OK, UNKNOWN, Finding
from orchard.commands.doctor import examine, main
from orchard.settings import regions
from tests.airflow_home import REPOSITORY
from tests.conftest import REGION, Aws
from tests.local.emr.servers import LocalEmr

EXTRACTOR = "mobilenet_v2-f32-575378b4658d"


class Quotas(BaseHTTPRequestHandler):
    """Service Quotas' GetServiceQuota, as its protocol has it; ministack has none."""

    values: ClassVar[dict[str, float]] = {}

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        if operation == "GetAWSDefaultServiceQuota":
            status, answer = 200, {"Quota": {"QuotaCode": request["QuotaCode"], "Value": 5.0}}
        elif request["QuotaCode"] in self.values:
            status, answer = 200, {"Quota": {"Value": self.values[request["QuotaCode"]]}}
        else:
            status, answer = 400, {"__type": "NoSuchResourceException", "message": "none"}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def quotas_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Quotas)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def emr(aws_server: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEmr]:
    server = LocalEmr(aws_server, tmp_path_factory.mktemp("emr") / "data")
    yield server
    assert server.stop() == 0


_client = doctor._client
_clients: dict[Any, Any] = {}


def _kept(service: str, region: str) -> Any:
    """Open the doctor's client once for each service and key: to read the services' models takes seconds."""
    who = (service, *map(os.environ.get, ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ENDPOINT_URL_EMR")))
    if who not in _clients:
        _clients[who] = _client(service, region)
    return _clients[who]


class Account:
    """An account in which all is well, and what the doctor says of it."""

    def __init__(self, aws: Aws, folder: Path) -> None:
        name = uuid.uuid4().hex[:8]
        self.aws, self.bucket, self.file = aws, f"orchard-{name}", folder / "settings.json"
        self.role, self.profile = f"service-{name}", f"node-{name}"
        s3, iam, ec2 = aws.client("s3"), aws.client("iam"), aws.client("ec2")
        s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        s3.put_public_access_block(Bucket=self.bucket, PublicAccessBlockConfiguration=dict.fromkeys(blocked, True))
        s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/orchard"}}
        s3.put_bucket_encryption(Bucket=self.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
        for key, body in {
            "photos/Plum/1.JPG": b"photo",
            f"lake/extractors/{EXTRACTOR}.zip": b"artefact",
            "lake/bootstrap/1/install.sh": b"#!/bin/sh",
            "lake/bootstrap/1/requirements-x86_64.txt": b"numpy",
            "lake/bootstrap/1/wheels-x86_64.tar": b"tar",
            "lake/bootstrap/1/SHA256SUMS": b"0  install.sh\n1  requirements-x86_64.txt\n2  wheels-x86_64.tar\n",
        }.items():
            s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        aws.client("glue").create_database(DatabaseInput={"Name": name})
        iam.create_role(RoleName=self.role, AssumeRolePolicyDocument=trust("elasticmapreduce.amazonaws.com"))
        iam.create_role(RoleName=self.profile, AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
        iam.create_instance_profile(InstanceProfileName=self.profile)
        iam.add_role_to_instance_profile(InstanceProfileName=self.profile, RoleName=self.profile)
        self.vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        self.subnet = ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.1.1.0/24")["Subnet"]["SubnetId"]
        tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])["RouteTables"]
        self.endpoint = ec2.create_vpc_endpoint(
            VpcId=self.vpc,
            ServiceName=f"com.amazonaws.{REGION}.s3",
            VpcEndpointType="Gateway",
            RouteTableIds=[tables[0]["RouteTableId"]],
        )["VpcEndpoint"]["VpcEndpointId"]
        self.glue = ec2.create_vpc_endpoint(
            VpcId=self.vpc,
            ServiceName=f"com.amazonaws.{REGION}.glue",
            VpcEndpointType="Interface",
            SubnetIds=[self.subnet],
            PrivateDnsEnabled=True,
        )["VpcEndpoint"]["VpcEndpointId"]
        self.groups = [
            ec2.create_security_group(GroupName=f"{kind}-{name}", Description=kind, VpcId=self.vpc)["GroupId"]
            for kind in ("primary", "core", "service")
        ]
        self.settings: dict[str, Any] = {
            "lake": f"s3://{self.bucket}/lake",
            "prefixes": [f"s3://{self.bucket}/photos/"],
            "extractor": EXTRACTOR,
            "database": name,
            "service_role": self.role,
            "instance_profile": self.profile,
            "subnets": [self.subnet],
            "primary_security_group": self.groups[0],
            "core_security_group": self.groups[1],
            "service_security_group": self.groups[2],
            "bootstrap": f"s3://{self.bucket}/lake/bootstrap/1",
        }
        Quotas.values.clear()
        Quotas.values.update({"L-1216C47A": 64.0, "L-34B43A08": 64.0})

    def examine(self, **changes: Any) -> dict[str, Finding]:
        """Ask the doctor, with some settings changed."""
        self.file.write_text(json.dumps(self.settings | changes))
        return {finding.check: finding for finding in examine(self.file)}

    def failures(self, **changes: Any) -> dict[str, tuple[str, str | None]]:
        """Return what failed, and the remedies."""
        found = self.examine(**changes).values()
        return {one.check: (one.found, one.remedy) for one in found if one.state == FAILED}


def trust(service: str) -> str:
    return json.dumps(
        {"Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]}
    )


@pytest.fixture
def account(aws: Aws, emr: LocalEmr, quotas_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setenv("AWS_ENDPOINT_URL_EMR", emr.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS", quotas_server)
    monkeypatch.setattr(doctor, "_client", _kept)
    return Account(aws, tmp_path)


def test_all_is_well(account: Account) -> None:
    found = account.examine()
    assert {one.check: one.found for one in found.values() if one.state == FAILED} == {}
    assert {one.check for one in found.values() if one.state == UNKNOWN} == {
        "DAGs",  # nobody has made Airflow's database here
        "offered",  # this call no emulator here has
    }
    assert found["credentials"].found == "arn:aws:iam::000000000000:root in account 000000000000"
    assert found["encryption"].found == "aws:kms with alias/orchard"
    assert found["bootstrap"].found == f"s3://{account.bucket}/lake/bootstrap/1, for x86_64, 0 MB"
    assert found["subnets"].found == f"{account.subnet} in eu-west-1a of {account.vpc}"
    assert found["way to S3"].found == f"gateway endpoint {account.endpoint}"
    assert found["way to Glue"].found == f"interface endpoint {account.glue}"
    assert found["security groups"].found == ", ".join(account.groups)
    assert found["EMR"].found == "clusters of this lake that live: none"
    assert found["release"].found == "emr-7.14.0 with Spark 3.5.8"
    assert found["quotas"].found == "on demand: 44 of 64 vCPUs"
    digest = jobs.package(REPOSITORY / "spark_jobs")[1]
    assert found["jobs' code"].found == (f"a run will upload s3://{account.bucket}/lake/code/spark_jobs-{digest}.zip")


def test_events_are_none_where_nobody_asked_for_them(account: Account) -> None:
    found = account.examine()
    assert {found[name].found for name in ("events queue", "events")} == {"none: photos wait for the daily run"}


def test_a_queue_that_nobody_tells_anything(account: Account) -> None:
    """Which is not there first; then there and not told; then told by others; then by the bucket itself."""
    name = f"events-{account.bucket}"
    url, arn = f"{account.aws.url}/000000000000/{name}", f"arn:aws:sqs:{REGION}:000000000000:{name}"
    failures = account.failures(events_queue=url)
    assert failures.keys() == {"events queue", "events"}
    assert {found for found, _ in failures.values()} == {f"there is no queue {url} in {REGION}"}

    allowed = {
        "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    account.aws.client("sqs").create_queue(QueueName=name, Attributes={"Policy": policy})
    failures = account.failures(events_queue=url)
    assert failures.keys() == {"events"}
    told, remedy = failures["events"]
    assert told == f"{account.bucket} does not tell {arn} of new objects: they wait for the daily run"
    assert remedy and "make deploy" in remedy

    def tell(**configuration: Any) -> Finding:
        account.aws.client("s3").put_bucket_notification_configuration(
            Bucket=account.bucket, NotificationConfiguration=configuration
        )
        return account.examine(events_queue=url)["events"]

    other = {"QueueArn": arn, "Events": ["s3:ObjectRemoved:*"]}
    assert tell(QueueConfigurations=[other]).state == FAILED
    assert tell(EventBridgeConfiguration={}) == Finding(
        "events", UNKNOWN, f"{account.bucket}: by SNS or EventBridge, if so"
    )
    ours = {"QueueArn": arn, "Events": ["s3:ObjectCreated:Put", "s3:ObjectCreated:CompleteMultipartUpload"]}
    assert tell(QueueConfigurations=[other, ours]) == Finding("events", OK, f"told by {account.bucket}")
    assert account.examine(events_queue=url)["events queue"].found.startswith(f"{arn}, about ")


def test_another_lake_altogether(account: Account) -> None:
    failures = account.failures(
        lake="s3://no-such-bucket-at-all/lake",
        prefixes=["s3://no-such-bucket-at-all/photos/"],
        database="nowhere",
        bootstrap="s3://no-such-bucket-at-all/lake/bootstrap/1",
    )
    assert {name: found for name, (found, _) in failures.items()} == {
        "bucket": "there is no bucket no-such-bucket-at-all",
        "photos": "there is no bucket no-such-bucket-at-all, of s3://no-such-bucket-at-all/photos/",
        "extractor": f"there is no s3://no-such-bucket-at-all/lake/extractors/{EXTRACTOR}.zip",
        "bootstrap": "there is no s3://no-such-bucket-at-all/lake/bootstrap/1/SHA256SUMS",
        "Glue database": "Glue has no database nowhere",
    }
    assert failures["bucket"][1] == (
        "`make deploy ENV=<env>` in Orchard's repository makes it; or mend the setting lake."
    )


def test_an_open_bucket_without_versions(account: Account) -> None:
    s3 = account.aws.client("s3")
    s3.delete_public_access_block(Bucket=account.bucket)
    s3.put_bucket_versioning(Bucket=account.bucket, VersioningConfiguration={"Status": "Suspended"})
    failures = account.failures()
    assert failures.keys() == {"public access", "versioning"}
    assert failures["public access"][0] == (
        "public access is not blocked: BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets"
    )
    assert failures["versioning"][0] == "versioning is Suspended"
    assert f"`aws s3api put-bucket-versioning --bucket {account.bucket} " in str(failures["versioning"][1])


def test_what_the_deployment_puts_there_is_missing(account: Account) -> None:
    s3 = account.aws.client("s3")
    for key in ("photos/Plum/1.JPG", f"lake/extractors/{EXTRACTOR}.zip", "lake/bootstrap/1/install.sh"):
        s3.delete_object(Bucket=account.bucket, Key=key)
    s3.put_object(Bucket=account.bucket, Key="photos/notes.txt", Body=b"")
    failures = account.failures()
    root = f"s3://{account.bucket}"
    assert failures.keys() == {"photos", "extractor", "bootstrap"}
    assert failures["photos"][0].endswith(f" is under {root}/photos/")
    assert failures["extractor"][0] == f"there is no {root}/lake/extractors/{EXTRACTOR}.zip"
    assert failures["bootstrap"][0] == f"install.sh missing under {root}/lake/bootstrap/1"


def test_a_prefix_is_a_folder(account: Account) -> None:
    """As an older version took it, it is how keys begin: who meant that is told."""
    root = f"s3://{account.bucket}"
    for key in ("photos-old/Plum/1.jpg", "photos.zip"):
        account.aws.client("s3").put_object(Bucket=account.bucket, Key=key, Body=b"photo")
    told = account.examine(prefixes=[f"{root}/photos"])["photos"].found
    assert told == (
        f"there are some under {root}/photos; not those under photos-old/: if they are meant, too, the prefix is "
        f"{root}/photos*"
    )
    for prefix in (f"{root}/photos/", f"{root}/photos*"):
        assert account.examine(prefixes=[prefix])["photos"].found == f"there are some under {prefix}"


def test_settings_that_do_not_fit_a_cluster(account: Account) -> None:
    failures = account.failures(instance_type="m6g.xlarge", release="emr-7.99.0", max_core_nodes=300, log_seconds=60)
    assert failures.keys() == {"bootstrap", "release", "quotas", "subnets", "waiting"}
    assert failures["bootstrap"][0].endswith("/lake/bootstrap/1 has no wheels for aarch64, which m6g.xlarge is")
    assert failures["release"][0] == "EMR does not know emr-7.99.0"
    assert failures["subnets"][0].startswith(f"{account.subnet} has 2")  # 250 free addresses, or so
    assert failures["subnets"][0].endswith(" free addresses; the largest cluster has 301 nodes")
    assert failures["quotas"] == (
        "on demand: the largest cluster has 1204 vCPUs, the account may run 64 (L-1216C47A)",
        "`aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-1216C47A "
        "--desired-value 1204 --region eu-west-1`; or lower the setting max_core_nodes.",
    )
    assert failures["waiting"][0].startswith("log_seconds is 60, ")


def test_spot_has_a_quota_of_its_own(account: Account) -> None:
    assert account.examine(spot=True)["quotas"].found == "on demand: 44 of 64 vCPUs, spot: 40 of 64 vCPUs"
    del Quotas.values["L-34B43A08"]  # never raised: AWS' default holds
    assert account.examine(spot=True)["quotas"].found.startswith("spot: the largest cluster has 40 vCPUs, the account")


def test_wrong_roles(account: Account) -> None:
    swapped = account.failures(service_role=account.profile)
    assert swapped.keys() == {"service role", "pass roles"} - {"pass roles"}
    assert swapped["service role"][0] == (
        f"arn:aws:iam::000000000000:role/{account.profile} lets ec2.amazonaws.com take it, "
        "and not elasticmapreduce.amazonaws.com"
    )
    failures = account.failures(service_role="nobody", instance_profile="nothing")
    assert failures["service role"][0] == "there is no role nobody"
    assert failures["node profile"][0] == "there is no instance profile nothing"


def test_wrong_places(account: Account) -> None:
    ec2 = account.aws.client("ec2")
    other = ec2.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    away = ec2.create_subnet(VpcId=other, CidrBlock="10.2.1.0/24")["Subnet"]["SubnetId"]
    failures = account.failures(subnets=[away])
    assert failures.keys() == {"way to S3", "way to Glue", "security groups"}
    assert failures["way to S3"][0].startswith(f"{away} has no way to S3: its route table rtb-")
    assert str(failures["way to S3"][1]).startswith(f"`aws ec2 create-vpc-endpoint --vpc-id {other} ")
    assert failures["security groups"][0] == (f"{', '.join(account.groups)} are not of the subnets' VPC {other}")
    both = account.failures(subnets=[account.subnet, away])
    assert both.keys() == {"subnets"}
    assert both["subnets"][0] == f"the subnets are of several VPCs: {', '.join(sorted((account.vpc, other)))}"
    gone = account.failures(subnets=["subnet-0123"], core_security_group="sg-0123")
    assert gone.keys() == {"subnets", "security groups"}
    assert "subnet-0123" in gone["subnets"][0]
    assert "sg-0123" in gone["security groups"][0]


def test_what_is_wrong_with_a_subnet_is_said_once(account: Account) -> None:
    found = account.examine(subnets=["subnet-0123"])
    assert [one.check for one in found.values() if one.state == FAILED] == ["subnets"]
    for name in ("way to S3", "way to Glue", "security groups", "offered"):
        assert (found[name].state, found[name].found) == (UNKNOWN, "see subnets")


def test_no_way_to_glue(account: Account) -> None:
    """S3's endpoint leads to S3 alone."""
    ec2 = account.aws.client("ec2")
    (table,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [account.vpc]}])["RouteTables"]

    def without_private_dns(parsed: dict[str, Any], **_: Any) -> None:
        """Say what ministack does not keep."""
        for one in parsed["VpcEndpoints"]:
            one["PrivateDnsEnabled"] = False

    events, event = _kept("ec2", REGION).meta.events, "after-call.ec2.DescribeVpcEndpoints"
    events.register(event, without_private_dns)
    try:
        failures = account.failures()
    finally:
        events.unregister(event, without_private_dns)
    assert {name: found for name, (found, _) in failures.items()} == {
        "way to Glue": f"{account.subnet} has no way to Glue: {account.vpc} has {account.glue} without private DNS, "
        f"and its route table {table['RouteTableId']} has no way out"
    }
    ec2.delete_vpc_endpoints(VpcEndpointIds=[account.glue])
    failures = account.failures()
    assert failures.keys() == {"way to Glue"}
    found, remedy = failures["way to Glue"]
    assert found == (
        f"{account.subnet} has no way to Glue: {account.vpc} has no interface endpoint that is available, "
        f"and its route table {table['RouteTableId']} has no way out"
    )
    assert str(remedy).startswith(
        f"`aws ec2 create-vpc-endpoint --vpc-id {account.vpc} --service-name com.amazonaws.eu-west-1.glue "
        f"--vpc-endpoint-type Interface --subnet-ids {account.subnet} --private-dns-enabled "
    )
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=account.vpc)
    ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    out = account.examine()["way to Glue"]
    assert (out.state, out.found) == (OK, f"out by {gateway}")


def test_a_bucket_without_a_key_of_its_own(account: Account) -> None:
    """No failure: it may be meant. But said."""
    s3, said = account.aws.client("s3"), []
    for algorithm in ("AES256", "aws:kms"):
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}}
        s3.put_bucket_encryption(Bucket=account.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
        found = account.examine()["encryption"]
        assert found.state == OK
        said.append(found.found)
    assert said == [
        "AES256, not a key of yours: S3's own, and who may read the bucket needs no right to a key",
        "aws:kms with AWS' key aws/s3, not a key of yours",
    ]


def user(account: Account, *statements: dict[str, Any]) -> tuple[str, str]:
    """Make a user with these rights alone; return its key."""
    iam, name = account.aws.client("iam"), f"u-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Callable[[tuple[str, str]], None]:
    def become(key: tuple[str, str]) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key[0])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key[1])

    return become


def allow(*actions: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*"}


def test_somebody_who_may_not_pass_the_roles(account: Account, become: Callable[[tuple[str, str]], None]) -> None:
    rights = allow("s3:*", "glue:*", "iam:Get*", "iam:Simulate*", "ec2:*", "servicequotas:*", "elasticmapreduce:*")
    become(user(account, rights))
    failures = account.failures()
    assert failures.keys() == {"pass roles"}
    assert " may not pass arn:aws:iam::000000000000:role/service-" in failures["pass roles"][0]
    assert "Attach the policy orchard-<env>-airflow" in str(failures["pass roles"][1])
    become(user(account, rights, allow("iam:PassRole")))
    assert account.examine()["pass roles"].state == OK


def test_somebody_who_may_not_put_metrics(account: Account, become: Callable[[tuple[str, str]], None]) -> None:
    tags = {"orchard:environment": "prod"}
    rights = allow("s3:*", "glue:*", "iam:*", "ec2:*", "servicequotas:*", "elasticmapreduce:*")
    become(user(account, rights))
    assert account.examine()["metrics"].found == "none: the settings have no tag orchard:environment, so none are put"
    failures = account.failures(tags=tags)
    assert failures.keys() == {"metrics"}
    found, remedy = failures["metrics"]
    assert found.startswith("arn:aws:iam::000000000000:user/u-")
    assert found.endswith(" may not put metrics into Orchard: the reaper fails, and no alarm tells of failed runs")
    assert str(remedy).startswith("Attach the policy orchard-<env>-airflow ")
    become(user(account, rights, allow("cloudwatch:PutMetricData")))
    allowed = account.examine(tags=tags)["metrics"]
    assert allowed.state == OK
    assert allowed.found.endswith(" may put them into Orchard")


def test_somebody_who_may_do_nothing(account: Account, become: Callable[[tuple[str, str]], None]) -> None:
    """What a run needs itself has failed; what only the doctor asks for could not be checked. No check breaks."""
    become(user(account, allow("sqs:ListQueues")))
    found = account.examine()
    states = {one.check: one.state for one in found.values()}
    assert states["credentials"] == OK
    assert {name for name, state in states.items() if state == FAILED} >= {"bucket", "photos", "extractor"}
    assert states["service role"] == states["encryption"] == states["subnets"] == UNKNOWN
    assert found["service role"].found.startswith("GetRole is denied: ")


def test_no_credentials(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    found = account.examine()
    assert (found["credentials"].state, found["credentials"].found) == (FAILED, "Unable to locate credentials")
    assert str(found["credentials"].remedy).startswith("Give Airflow's machine a role, ")
    assert {one.found for one in found.values() if one.state == UNKNOWN and one.check != "DAGs"} == {
        "needs credentials"
    }


def test_a_profile_that_is_not_there(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else boto is asked meanwhile: of a region outside the EU, whether it knows it."""
    regions.cache_clear()
    monkeypatch.setenv("AWS_PROFILE", "nosuch")
    found = account.examine(region="us-east-1", outside_eu=True)
    assert found["credentials"].state == FAILED
    assert (found["credentials"].found, found["credentials"].remedy) == (
        "The config profile (nosuch) could not be found",
        "Set AWS_PROFILE to a profile that AWS' configuration has, or take it away.",
    )
    assert {one.check for one in found.values() if one.state == FAILED} == {"credentials"}


def test_wrong_credentials(account: Account, become: Callable[[tuple[str, str]], None]) -> None:
    become(("AKIAUNKNOWN000000000", "wrong"))
    assert account.failures()["credentials"][0].startswith("InvalidClientTokenId: ")


def test_settings_come_first(tmp_path: Path) -> None:
    (finding,) = examine(tmp_path / "nope.json")
    assert (finding.check, finding.state) == ("settings", FAILED)
    assert finding.found.startswith(f"{tmp_path}/nope.json: No such file or directory; expected a JSON object of ")
    assert finding.remedy == (
        "Name another file, or mend this one; without --settings it is Airflow's variable `orchard`."
    )


def test_all_wrong_settings_are_named(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text(
        json.dumps({"lake": "s3://bucket/lake", "prefixes": ["s3://bucket/lake"], "extractor": EXTRACTOR, "spot": 1})
    )
    (finding,) = examine(file)
    assert (finding.check, finding.state) == ("settings", FAILED)
    assert finding.found == (
        f"{file}:\n"
        'Setting prefixes[0]: got "s3://bucket/lake", expected a place beside the lake, "s3://bucket/lake": '
        "of one in the other, the lake's own pictures would be taken for photos; put the lake beside the photos, "
        "such as s3://bucket/lake and s3://bucket/photos.\n"
        "Setting spot: got 1, expected true or false; correct it, or leave it out for false."
    )
    assert doctor._lines(finding) == (
        "settings                FAILED  "
        + finding.found.replace("\n", f"\n{' ' * 32}")
        + f"\n{' ' * 32}{finding.remedy}"
    )


def test_no_settings_and_no_database(capfd: pytest.CaptureFixture[str]) -> None:
    """Airflow's own error of many lines is not shown."""
    (finding,) = examine()
    assert (finding.check, finding.state) == ("settings", FAILED)
    assert finding.found.startswith("Airflow has no database here that can be read (OperationalError). ")
    assert str(finding.remedy).startswith("`make deploy ENV=<env>` in Orchard's repository prints the variable ")
    assert "".join(capfd.readouterr()) == ""


def run(account: Account, folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    given = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**given, "AIRFLOW_HOME": str(folder), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_where_airflow_runs(account: Account, tmp_path: Path) -> None:
    """As a person gives the command: the variable is in Airflow's database, and no DAG is parsed yet."""
    home = tmp_path / "airflow"
    home.mkdir()
    key = user(account, allow("*"))
    environment = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW_CONN_AWS_DEFAULT": f"aws://{key[0]}:{quote(key[1], '')}@",
    }
    for arguments in (
        ("airflow", "db", "migrate"),
        ("airflow", "variables", "set", "orchard", json.dumps(account.settings)),
    ):
        done = run(account, home, *arguments, **environment)
        assert done.returncode == 0, done.stderr
    done = run(account, home, "orchard", "doctor", "--json", **environment)
    found = {one["check"]: one for one in json.loads(done.stdout)}
    assert found["settings"]["state"] == OK
    assert "user/u-" in found["credentials"]["found"]  # the connection's, not the environment's
    assert found["DAGs"]["state"] == FAILED
    assert found["DAGs"]["found"] == "Airflow has not parsed orchard_daily, orchard_reaper"
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_what_a_person_reads(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AIRFLOW__LOGGING__LOGGING_LEVEL", "_AIRFLOW_PROCESS_CONTEXT"):
        monkeypatch.setenv(name, "")  # what it sets is taken back with these
    account.examine(database="nowhere")
    assert main(["--settings", str(account.file)]) == 1
    out = capsys.readouterr().out
    assert "bucket                  ok      s3://" in out
    assert (
        "Glue database           FAILED  Glue has no database nowhere\n"
        "                                `make deploy ENV=<env>` in Orchard's repository makes it; or mend the setting "
        "database.\n"
    ) in out
    assert out.endswith(" ok, 1 FAILED, 2 could not be checked.\n")
