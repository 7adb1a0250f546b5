"""The policies of infra/orchard.yaml, tried: real calls of Airflow and of a node to servers that enforce them.

What those servers do not evaluate (all resources of a call to Glue, KMS behind S3) is evaluated here, by the same
evaluator, against the Service Authorization Reference.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.emr.access import allows
from local.emr.asks import Ask, Place
from local.emr.iam import Caller
from local.principals import Principals
from local.stack import REGION, Stack, free_port

ACCOUNT = "000000000000"
REFUSALS = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403")  # as services name it
LAKE_TAG = {"Key": "orchard:lake", "Value": "s3://orchard/lake"}
TAGS = [{"Key": "for-use-with-amazon-emr-managed-policies", "Value": "true"}, LAKE_TAG]
CLUSTER: dict[str, Any] = {
    "Name": "orchard",
    "ReleaseLabel": "emr-7.14.0",
    "LogUri": "s3://orchard/lake/logs/",
    "ServiceRole": "orchard-demo-emr-service",
    "JobFlowRole": "orchard-demo-emr-node",
    "Instances": {"MasterInstanceType": "m5.xlarge", "InstanceCount": 1, "KeepJobFlowAliveWhenNoSteps": True},
    "AutoTerminationPolicy": {"IdleTimeout": 60},
    "Tags": TAGS,
}
# Its node tells whom it is, as any program on it can.
STEP = {
    "Name": "who am I",
    "ActionOnFailure": "CONTINUE",
    "HadoopJarStep": {
        "Jar": "command-runner.jar",
        "Args": ["bash", "-c", 'echo "$AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $AWS_SESSION_TOKEN" > "$0"'],
    },
}
PHOTO = {"Bucket": "orchard", "Key": "photos/Banana/1.jpg"}
TABLE = {"Name": "batches", "StorageDescriptor": {"Location": "s3://orchard/lake/tables/batches"}}
ANYBODY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::orchard/*"}],
    }
)
EVERYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]},
)


def put(key: str, bucket: str = "orchard") -> dict[str, Any]:
    return {"Bucket": bucket, "Key": key, "Body": "x"}


def at(key: str, bucket: str = "orchard") -> dict[str, Any]:
    return {"Bucket": bucket, "Key": key}


# Who, which service, which call, with what. {ours}, {others}, {key}: what the fixture made.
Row = tuple[str, str, str, dict[str, Any]]
REFUSED: list[Row] = [
    # Airflow lists photos, and changes none.
    ("airflow", "s3", "put_object", put("photos/Banana/2.jpg")),
    ("airflow", "s3", "delete_object", PHOTO),
    ("airflow", "s3", "delete_object", PHOTO | {"VersionId": "null"}),
    ("airflow", "s3", "delete_objects", {"Bucket": "orchard", "Delete": {"Objects": [{"Key": "photos/Banana/1.jpg"}]}}),
    # What is deployed is the deployer's; of the lake it only writes its own part.
    ("airflow", "s3", "put_object", put("lake/bootstrap/0123/install.sh")),
    ("airflow", "s3", "put_object", put("lake/extractors/one.zip")),
    ("airflow", "s3", "delete_object", at("lake/extractors/one.zip")),
    ("airflow", "s3", "delete_object", at("lake/code/one.zip")),
    ("airflow", "s3", "put_object", put("lake/logs/one.gz")),
    ("airflow", "s3", "put_object", put("elsewhere")),
    ("airflow", "s3", "get_object", at("elsewhere")),
    # The bucket itself, and others'.
    ("airflow", "s3", "delete_bucket", {"Bucket": "orchard"}),
    ("airflow", "s3", "put_bucket_policy", {"Bucket": "orchard", "Policy": ANYBODY}),
    ("airflow", "s3", "put_bucket_acl", {"Bucket": "orchard", "ACL": "public-read"}),
    (
        "airflow",
        "s3",
        "put_bucket_versioning",
        {"Bucket": "orchard", "VersioningConfiguration": {"Status": "Suspended"}},
    ),
    ("airflow", "s3", "delete_bucket_encryption", {"Bucket": "orchard"}),
    ("airflow", "s3", "delete_public_access_block", {"Bucket": "orchard"}),
    ("airflow", "s3", "create_bucket", {"Bucket": "mine", "CreateBucketConfiguration": {"LocationConstraint": REGION}}),
    ("airflow", "s3", "list_objects_v2", {"Bucket": "others"}),
    ("airflow", "s3", "get_object", at("secret", "others")),
    ("airflow", "s3", "put_object", put("gift", "others")),
    ("airflow", "s3", "copy_object", at("lake/tables/stolen") | {"CopySource": at("secret", "others")}),
    # Clusters that are not of this lake, or would be more than they may.
    ("airflow", "emr", "run_job_flow", CLUSTER | {"Tags": []}),
    ("airflow", "emr", "run_job_flow", CLUSTER | {"Tags": [LAKE_TAG]}),
    ("airflow", "emr", "run_job_flow", CLUSTER | {"Tags": [TAGS[0], LAKE_TAG | {"Value": "s3://others/lake"}]}),
    ("airflow", "emr", "run_job_flow", CLUSTER | {"JobFlowRole": "admin"}),
    ("airflow", "emr", "run_job_flow", CLUSTER | {"ServiceRole": "admin"}),
    ("airflow", "emr", "run_job_flow", CLUSTER | {"ServiceRole": "orchard-demo-emr-node"}),
    ("airflow", "emr", "terminate_job_flows", {"JobFlowIds": ["{others}"]}),
    ("airflow", "emr", "terminate_job_flows", {"JobFlowIds": ["{ours}", "{others}"]}),
    ("airflow", "emr", "add_job_flow_steps", {"JobFlowId": "{others}", "Steps": [STEP]}),
    ("airflow", "emr", "list_steps", {"ClusterId": "{others}"}),
    ("airflow", "emr", "add_tags", {"ResourceId": "{others}", "Tags": [{"Key": "mine", "Value": "now"}]}),
    ("airflow", "emr", "remove_tags", {"ResourceId": "{ours}", "TagKeys": ["orchard:lake"]}),
    ("airflow", "emr", "set_termination_protection", {"JobFlowIds": ["{ours}"], "TerminationProtected": True}),
    ("airflow", "emr", "remove_auto_termination_policy", {"ClusterId": "{ours}"}),
    # More rights than it has.
    ("airflow", "iam", "create_user", {"UserName": "mole"}),
    ("airflow", "iam", "create_access_key", {"UserName": "orchard-demo-airflow"}),
    (
        "airflow",
        "iam",
        "put_user_policy",
        {"UserName": "orchard-demo-airflow", "PolicyName": "more", "PolicyDocument": EVERYTHING},
    ),
    (
        "airflow",
        "iam",
        "put_role_policy",
        {"RoleName": "orchard-demo-emr-node", "PolicyName": "more", "PolicyDocument": EVERYTHING},
    ),
    (
        "airflow",
        "iam",
        "update_assume_role_policy",
        {"RoleName": "orchard-demo-emr-node", "PolicyDocument": EVERYTHING},
    ),
    (
        "airflow",
        "sts",
        "assume_role",
        {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/orchard-demo-emr-node", "RoleSessionName": "mole"},
    ),
    # The catalog's other parts.
    ("airflow", "glue", "delete_database", {"Name": "orchard"}),
    ("airflow", "glue", "get_tables", {"DatabaseName": "others"}),
    ("airflow", "glue", "get_table", {"DatabaseName": "others", "Name": "batches"}),
    ("airflow", "glue", "update_table", {"DatabaseName": "others", "TableInput": TABLE}),
    ("airflow", "glue", "delete_table", {"DatabaseName": "orchard", "Name": "batches"}),
    # Keys and secrets.
    ("airflow", "kms", "schedule_key_deletion", {"KeyId": "{key}"}),
    ("airflow", "kms", "disable_key", {"KeyId": "{key}"}),
    ("airflow", "kms", "encrypt", {"KeyId": "{key}", "Plaintext": "x"}),
    ("airflow", "kms", "put_key_policy", {"KeyId": "{key}", "Policy": EVERYTHING}),
    ("airflow", "secretsmanager", "get_secret_value", {"SecretId": "password"}),
    ("airflow", "ec2", "run_instances", {"ImageId": "ami-12345678", "MinCount": 1, "MaxCount": 1}),
    # Of the queue of events it takes what is there, and of other queues nothing.
    ("airflow", "sqs", "send_message", {"QueueUrl": "orchard-demo-events", "MessageBody": "x"}),
    ("airflow", "sqs", "purge_queue", {"QueueUrl": "orchard-demo-events"}),
    ("airflow", "sqs", "set_queue_attributes", {"QueueUrl": "orchard-demo-events", "Attributes": {"Policy": ""}}),
    ("airflow", "sqs", "delete_queue", {"QueueUrl": "orchard-demo-events"}),
    ("airflow", "sqs", "receive_message", {"QueueUrl": "others"}),
    (
        "airflow",
        "s3",
        "put_bucket_notification_configuration",
        {"Bucket": "orchard", "NotificationConfiguration": {"EventBridgeConfiguration": {}}},
    ),
    ("node", "sqs", "receive_message", {"QueueUrl": "orchard-demo-events"}),
    # The nodes read photos and code.
    ("node", "s3", "put_object", put("photos/Banana/2.jpg")),
    ("node", "s3", "delete_object", PHOTO),
    ("node", "s3", "put_object", put("lake/code/one.zip")),
    ("node", "s3", "put_object", put("lake/bootstrap/0123/install.sh")),
    ("node", "s3", "put_object", put("lake/extractors/one.zip")),
    ("node", "s3", "delete_object", at("lake/extractors/one.zip")),
    ("node", "s3", "put_object", put("lake/reports/one.html")),
    ("node", "s3", "put_object", put("lake/lease.json")),
    ("node", "s3", "delete_object", at("lake/logs/one.gz")),
    ("node", "s3", "get_object", at("elsewhere")),
    ("node", "s3", "delete_bucket", {"Bucket": "orchard"}),
    ("node", "s3", "put_bucket_policy", {"Bucket": "orchard", "Policy": ANYBODY}),
    ("node", "s3", "list_objects_v2", {"Bucket": "others"}),
    ("node", "s3", "get_object", at("secret", "others")),
    ("node", "s3", "copy_object", at("lake/tables/stolen") | {"CopySource": at("secret", "others")}),
    ("node", "emr", "list_clusters", {}),
    ("node", "emr", "describe_cluster", {"ClusterId": "{ours}"}),
    ("node", "emr", "run_job_flow", CLUSTER),
    ("node", "emr", "add_job_flow_steps", {"JobFlowId": "{ours}", "Steps": [STEP]}),
    ("node", "emr", "terminate_job_flows", {"JobFlowIds": ["{ours}"]}),
    ("node", "iam", "create_user", {"UserName": "mole"}),
    ("node", "iam", "create_access_key", {"UserName": "orchard-demo-airflow"}),
    (
        "node",
        "iam",
        "put_role_policy",
        {"RoleName": "orchard-demo-emr-node", "PolicyName": "more", "PolicyDocument": EVERYTHING},
    ),
    (
        "node",
        "sts",
        "assume_role",
        {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/orchard-demo-emr-service", "RoleSessionName": "mole"},
    ),
    ("node", "glue", "create_database", {"DatabaseInput": {"Name": "others2"}}),
    ("node", "glue", "delete_database", {"Name": "orchard"}),
    ("node", "glue", "get_table", {"DatabaseName": "others", "Name": "batches"}),
    ("node", "glue", "create_table", {"DatabaseName": "others", "TableInput": TABLE | {"Name": "more"}}),
    ("node", "glue", "delete_table", {"DatabaseName": "orchard", "Name": "batches"}),
    ("node", "kms", "schedule_key_deletion", {"KeyId": "{key}"}),
    ("node", "kms", "encrypt", {"KeyId": "{key}", "Plaintext": "x"}),
    ("node", "secretsmanager", "get_secret_value", {"SecretId": "password"}),
    (
        "node",
        "cloudwatch",
        "put_metric_data",
        {"Namespace": "Orchard", "MetricData": [{"MetricName": "ClusterHours", "Value": 1.0}]},
    ),
    ("node", "ec2", "run_instances", {"ImageId": "ami-12345678", "MinCount": 1, "MaxCount": 1}),
]
ALLOWED: list[Row] = [
    ("airflow", "s3", "head_bucket", {"Bucket": "orchard"}),
    ("airflow", "s3", "get_bucket_location", {"Bucket": "orchard"}),
    ("airflow", "s3", "list_objects_v2", {"Bucket": "orchard", "Prefix": "photos/"}),
    ("airflow", "s3", "get_object", PHOTO),
    ("airflow", "s3", "head_object", at("lake/extractors/one.zip")),
    ("airflow", "s3", "get_object", at("lake/logs/one.gz")),  # of steps, and of bootstrap actions
    ("airflow", "s3", "put_object", put("lake/code/two.zip")),
    ("airflow", "s3", "put_object", put("lake/reports/two.html")),
    ("airflow", "s3", "put_object", put("lake/lease.json")),
    ("airflow", "s3", "put_object", put("lake/tables/batches/two.parquet")),
    ("airflow", "s3", "delete_object", at("lake/tables/batches/two.parquet")),
    ("airflow", "sqs", "receive_message", {"QueueUrl": "orchard-demo-events"}),
    ("airflow", "sqs", "get_queue_attributes", {"QueueUrl": "orchard-demo-events", "AttributeNames": ["QueueArn"]}),
    ("airflow", "s3", "get_bucket_notification_configuration", {"Bucket": "orchard"}),
    ("airflow", "glue", "get_database", {"Name": "orchard"}),
    ("airflow", "glue", "get_tables", {"DatabaseName": "orchard"}),
    ("airflow", "glue", "get_table", {"DatabaseName": "orchard", "Name": "batches"}),
    ("airflow", "glue", "update_table", {"DatabaseName": "orchard", "TableInput": TABLE}),
    ("airflow", "glue", "create_table", {"DatabaseName": "orchard", "TableInput": TABLE | {"Name": "airflows"}}),
    ("airflow", "emr", "run_job_flow", CLUSTER),
    ("airflow", "emr", "list_clusters", {}),
    ("airflow", "emr", "describe_cluster", {"ClusterId": "{ours}"}),
    ("airflow", "emr", "describe_cluster", {"ClusterId": "{others}"}),  # whose it is stands in its tags
    ("airflow", "emr", "list_steps", {"ClusterId": "{ours}"}),
    ("airflow", "emr", "list_instances", {"ClusterId": "{ours}"}),
    ("airflow", "emr", "add_job_flow_steps", {"JobFlowId": "{ours}", "Steps": [STEP]}),
    ("airflow", "emr", "cancel_steps", {"ClusterId": "{ours}", "StepIds": ["s-0000000000000"]}),
    ("airflow", "emr", "terminate_job_flows", {"JobFlowIds": ["{spare}"]}),
    (
        "airflow",
        "cloudwatch",
        "put_metric_data",
        {"Namespace": "Orchard", "MetricData": [{"MetricName": "ClusterHours", "Value": 1.0}]},
    ),
    ("airflow", "iam", "get_role", {"RoleName": "orchard-demo-emr-node"}),
    ("airflow", "sts", "get_caller_identity", {}),
    ("node", "s3", "list_objects_v2", {"Bucket": "orchard", "Prefix": "lake/"}),
    ("node", "s3", "get_object", PHOTO),
    ("node", "s3", "get_object", at("lake/code/one.zip")),
    ("node", "s3", "get_object", at("lake/extractors/one.zip")),
    ("node", "s3", "get_object", at("lake/bootstrap/0123/install.sh")),
    ("node", "s3", "put_object", put("lake/tables/embeddings/three.parquet")),
    ("node", "s3", "delete_object", at("lake/tables/embeddings/three.parquet")),
    ("node", "s3", "put_object", put("lake/exports/three.csv")),
    ("node", "s3", "delete_object", at("lake/exports/three.csv")),
    ("node", "s3", "put_object", put("lake/steps/three.json")),
    ("node", "s3", "put_object", put("lake/logs/three.gz")),
    ("node", "glue", "get_database", {"Name": "orchard"}),
    ("node", "glue", "get_tables", {"DatabaseName": "orchard"}),
    ("node", "glue", "get_table", {"DatabaseName": "orchard", "Name": "batches"}),
    ("node", "glue", "update_table", {"DatabaseName": "orchard", "TableInput": TABLE}),
    ("node", "glue", "create_table", {"DatabaseName": "orchard", "TableInput": TABLE | {"Name": "nodes"}}),
    ("node", "sts", "get_caller_identity", {}),
]


class World:
    """Both servers, with ours and others' things on them, and the clients of each principal."""

    def __init__(self, stack: Stack, step: Path) -> None:
        self.stack = stack
        self._clients: dict[tuple[str, str], Any] = {}
        self.root = boto3.Session("test", "test", region_name=REGION)
        self.airflow = _session_of(stack.principals.credentials)
        self._make_things()
        emr = self.client("airflow", "emr")
        step_ = json.loads(json.dumps(STEP))
        step_["HadoopJarStep"]["Args"].append(str(step))
        ours = emr.run_job_flow(**CLUSTER | {"Steps": [step_]})["JobFlowId"]
        spare = emr.run_job_flow(**CLUSTER)["JobFlowId"]
        others = self.client("root", "emr").run_job_flow(**CLUSTER | {"Name": "others", "Tags": []})["JobFlowId"]
        key = self.client("root", "kms").create_key()["KeyMetadata"]["KeyId"]
        self.made = {"ours": ours, "spare": spare, "others": others, "key": key}
        (one,) = emr.list_steps(ClusterId=ours)["Steps"]
        emr.get_waiter("step_complete").wait(
            ClusterId=ours, StepId=one["Id"], WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        key_id, secret, token = step.read_text().split()
        self.node = boto3.Session(key_id, secret, token, region_name=REGION)

    def client(self, who: str, service: str) -> Any:
        if (who, service) not in self._clients:
            url = self.stack.emr_url if service == "emr" else self.stack.url
            session = {"root": self.root, "airflow": self.airflow}.get(who) or self.node
            config = Config(retries={"total_max_attempts": 1})
            self._clients[who, service] = session.client(service, endpoint_url=url, config=config)
        return self._clients[who, service]

    def call(self, who: str, service: str, call: str, given: Mapping[str, Any]) -> Any:
        """Call for real, with the names of what was made."""
        text = json.dumps(given)
        for name, value in self.made.items():
            text = text.replace(f"{{{name}}}", value)
        return getattr(self.client(who, service), call)(**json.loads(text))

    def _make_things(self) -> None:
        s3, glue = self.client("root", "s3"), self.client("root", "glue")
        for bucket in ("orchard", "others"):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
            glue.create_database(DatabaseInput={"Name": bucket})
            glue.create_table(DatabaseName=bucket, TableInput=TABLE)
        for key in (
            *("photos/Banana/1.jpg", "elsewhere", "lake/extractors/one.zip", "lake/bootstrap/0123/install.sh"),
            *("lake/code/one.zip", "lake/logs/one.gz"),
        ):
            s3.put_object(**put(key))
        s3.put_object(**put("secret", "others"))
        for queue in ("orchard-demo-events", "others"):
            self.client("root", "sqs").create_queue(QueueName=queue)
        self.client("root", "secretsmanager").create_secret(Name="password", SecretString="x")
        iam = self.client("root", "iam")
        iam.create_role(RoleName="admin", AssumeRolePolicyDocument=ANYBODY)
        iam.create_instance_profile(InstanceProfileName="admin")
        iam.add_role_to_instance_profile(InstanceProfileName="admin", RoleName="admin")


def _session_of(credentials: Path) -> Any:
    lines = dict(line.split(" = ") for line in credentials.read_text().splitlines() if " = " in line)
    return boto3.Session(lines["aws_access_key_id"], lines["aws_secret_access_key"], region_name=REGION)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("permissions")
    stack = Stack(folder / "aws", port=free_port(), emr_port=free_port())
    with stack.running("--start-delay", "0"):
        yield World(stack, folder / "node")


@pytest.mark.parametrize(("who", "service", "call", "given"), REFUSED)
def test_refused(world: World, who: str, service: str, call: str, given: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as error:
        world.call(who, service, call, given)
    assert error.value.response["Error"]["Code"] in REFUSALS, error.value


@pytest.mark.parametrize(("who", "service", "call", "given"), ALLOWED)
def test_allowed(world: World, who: str, service: str, call: str, given: dict[str, Any]) -> None:
    assert world.call(who, service, call, given)["ResponseMetadata"]["HTTPStatusCode"] in (200, 204)


# Who, which action, on which resources (all of them are asked for), with what conditions look at, and whether it may.
GLUE = f"arn:aws:glue:{REGION}:{ACCOUNT}"
CATALOG, DATABASE = f"{GLUE}:catalog", f"{GLUE}:database/orchard"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-0000-0000-000000000000"
BY_S3 = {"kms:viaservice": f"s3.{REGION}.amazonaws.com"}
EVALUATED: list[tuple[str, str, tuple[str, ...], dict[str, str | list[str]], bool]] = [
    ("airflow", "glue:CreateDatabase", (CATALOG, DATABASE), {}, True),
    ("airflow", "glue:CreateDatabase", (CATALOG, f"{GLUE}:database/others2"), {}, False),
    ("airflow", "glue:GetDatabase", (CATALOG, DATABASE), {}, True),
    ("airflow", "glue:GetDatabase", (CATALOG, f"{GLUE}:database/others"), {}, False),
    ("airflow", "glue:GetTable", (CATALOG, DATABASE, f"{GLUE}:table/orchard/batches"), {}, True),
    ("airflow", "glue:GetTables", (CATALOG, DATABASE, f"{GLUE}:table/orchard/*"), {}, True),
    ("airflow", "glue:CreateTable", (CATALOG, DATABASE, f"{GLUE}:table/orchard/batches"), {}, True),
    ("airflow", "glue:UpdateTable", (CATALOG, DATABASE, f"{GLUE}:table/orchard/batches"), {}, True),
    ("airflow", "glue:UpdateTable", (CATALOG, DATABASE, f"{GLUE}:table/others/batches"), {}, False),
    ("airflow", "glue:UpdateTable", (CATALOG, DATABASE, f"{GLUE}:table/orchard2/batches"), {}, False),
    ("airflow", "glue:DeleteTable", (CATALOG, DATABASE, f"{GLUE}:table/orchard/batches"), {}, False),
    ("airflow", "kms:GenerateDataKey", (KEY,), BY_S3, True),
    ("airflow", "kms:Decrypt", (KEY,), BY_S3, True),
    ("airflow", "kms:Decrypt", (KEY,), {}, False),
    ("airflow", "kms:Decrypt", (KEY,), {"kms:viaservice": f"ec2.{REGION}.amazonaws.com"}, False),
    ("airflow", "kms:Decrypt", (KEY.replace("0000-0", "0000-1"),), BY_S3, False),
    ("airflow", "kms:ScheduleKeyDeletion", (KEY,), BY_S3, False),
    ("airflow", "cloudwatch:PutMetricData", ("*",), {"cloudwatch:namespace": "Orchard"}, True),
    ("airflow", "cloudwatch:PutMetricData", ("*",), {"cloudwatch:namespace": "AWS/EC2"}, False),
    ("node", "glue:CreateDatabase", (CATALOG, DATABASE), {}, False),
    ("node", "glue:GetDatabase", (CATALOG, DATABASE), {}, True),
    ("node", "glue:GetTable", (CATALOG, DATABASE, f"{GLUE}:table/orchard/embeddings"), {}, True),
    ("node", "glue:CreateTable", (CATALOG, DATABASE, f"{GLUE}:table/orchard/embeddings"), {}, True),
    ("node", "glue:UpdateTable", (CATALOG, DATABASE, f"{GLUE}:table/orchard/embeddings"), {}, True),
    ("node", "glue:UpdateTable", (CATALOG, DATABASE, f"{GLUE}:table/others/embeddings"), {}, False),
    ("node", "glue:DeleteTable", (CATALOG, DATABASE, f"{GLUE}:table/orchard/embeddings"), {}, False),
    ("node", "kms:GenerateDataKey", (KEY,), BY_S3, True),
    ("node", "kms:Decrypt", (KEY,), BY_S3, True),
    ("node", "kms:Decrypt", (KEY,), {}, False),
    ("node", "kms:ScheduleKeyDeletion", (KEY,), BY_S3, False),
    ("node", "cloudwatch:PutMetricData", ("*",), {"cloudwatch:namespace": "Orchard"}, False),
]


@pytest.fixture(scope="module")
def policies() -> dict[str, dict[str, Any]]:
    airflow, node = Principals("http://127.0.0.1:1", REGION, Path("none")).policies("orchard", "orchard")
    return {"airflow": airflow, "node": node}


@pytest.mark.parametrize(("who", "action", "resources", "keys", "may"), EVALUATED)
def test_evaluated(
    policies: dict[str, dict[str, Any]],
    who: str,
    action: str,
    resources: tuple[str, ...],
    keys: dict[str, str | list[str]],
    may: bool,
) -> None:
    caller = Caller(f"arn:aws:iam::{ACCOUNT}:user/{who}", [policies[who]])
    place = Place(REGION, ACCOUNT)
    assert all(allows(caller, Ask(action, one, keys), place) for one in resources) is may
