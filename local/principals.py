"""Principals: who acts in the AWS of this machine, with the policies that infra/orchard.yaml gives them on AWS.

Airflow is a user with a key; the nodes have a role, which the local EMR becomes for each cluster. Who makes buckets,
puts photos there and looks at all of it is the account itself: the key ``test``.
"""

import configparser
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from infra.template import policy

ENVIRONMENT = "demo"  # so that "local" is left to who deploys the template to this machine
ACCOUNT = "000000000000"  # ministack's, unless a key says otherwise
AIRFLOW = f"orchard-{ENVIRONMENT}-airflow"
SERVICE = f"orchard-{ENVIRONMENT}-emr-service"
NODE = f"orchard-{ENVIRONMENT}-emr-node"
# What a cluster has to be asked for with; Orchard's settings.
SETTINGS = {"service_role": SERVICE, "instance_profile": NODE}
TAGS = {"orchard:environment": ENVIRONMENT}
_INLINE, _EVENTS = "orchard", "orchard-events"
EVENTS = f"orchard-{ENVIRONMENT}-events"  # the queue that Airflow may read, where somebody makes it


@dataclass(frozen=True)
class Principals:
    """The principals in the IAM of an AWS on this machine.

    Attributes
    ----------
    credentials : Path
        File with Airflow's key, as ``AWS_SHARED_CREDENTIALS_FILE`` names it: whoever starts before IAM finds it there.
    """

    endpoint: str
    region: str
    credentials: Path

    def make(self, bucket: str, database: str) -> None:
        """Make who is missing, and give them their policies; Airflow keeps its key while IAM knows it."""
        iam = self._client()
        if AIRFLOW not in {one["UserName"] for one in iam.list_users()["Users"]}:
            iam.create_user(UserName=AIRFLOW)
        roles = {one["RoleName"] for one in iam.list_roles()["Roles"]}
        for name, service in ((SERVICE, "elasticmapreduce"), (NODE, "ec2")):
            if name not in roles:
                iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_trust(service)))
        if NODE not in {one["InstanceProfileName"] for one in iam.list_instance_profiles()["InstanceProfiles"]}:
            iam.create_instance_profile(InstanceProfileName=NODE)
            iam.add_role_to_instance_profile(InstanceProfileName=NODE, RoleName=NODE)
        self.permit(bucket, database)
        self._keep_key(iam)

    def permit(self, bucket: str, database: str) -> None:
        """Let them work on one lake, and on that alone, from now on."""
        iam = self._client()
        for_airflow, for_nodes = self.policies(bucket, database)
        for_events = policy("EventsPolicy", self._given(bucket, database))
        # What ministack asks for in AWS' place. It takes GetDatabase's database for a table,
        table = f"arn:aws:glue:{self.region}:{ACCOUNT}:table/{database}"
        for one in (for_airflow, for_nodes):
            one["Statement"].append({"Effect": "Allow", "Action": "glue:GetDatabase", "Resource": table})
        # and does not know in which namespace a metric is.
        for_airflow["Statement"].append({"Effect": "Allow", "Action": "cloudwatch:PutMetricData", "Resource": "*"})
        # To delete several messages at once is sqs:DeleteMessage for AWS.
        (queue,) = {one["Resource"] for one in for_events["Statement"] if one["Sid"] == "HearOfPhotos"}
        for_events["Statement"].append({"Effect": "Allow", "Action": "sqs:DeleteMessageBatch", "Resource": queue})
        iam.put_user_policy(UserName=AIRFLOW, PolicyName=_INLINE, PolicyDocument=json.dumps(for_airflow))
        iam.put_user_policy(UserName=AIRFLOW, PolicyName=_EVENTS, PolicyDocument=json.dumps(for_events))
        iam.put_role_policy(RoleName=NODE, PolicyName=_INLINE, PolicyDocument=json.dumps(for_nodes))

    def policies(self, bucket: str, database: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Resolve Airflow's policy and the nodes', for the names of this machine."""
        given = self._given(bucket, database)
        return policy("AirflowPolicy", given), policy("NodePolicy", given)

    def _given(self, bucket: str, database: str) -> dict[str, str]:
        return {
            **{"Environment": ENVIRONMENT, "AWS::AccountId": ACCOUNT, "AWS::Region": self.region},
            **{"Bucket": bucket, "Database": database},
        }

    def _keep_key(self, iam: Any) -> None:
        known = [one["AccessKeyId"] for one in iam.list_access_keys(UserName=AIRFLOW)["AccessKeyMetadata"]]
        if self._written() in known:
            return
        for one in known:
            iam.delete_access_key(UserName=AIRFLOW, AccessKeyId=one)
        key = iam.create_access_key(UserName=AIRFLOW)["AccessKey"]
        file = configparser.RawConfigParser()
        file["default"] = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
        text = io.StringIO()
        file.write(text)
        # Whole or not at all; for owner and group, as docker-compose's services share their group alone.
        new = self.credentials.with_name(f"{self.credentials.name}.new")
        new.touch(0o600)
        new.write_text(text.getvalue())
        new.chmod(0o640)
        os.replace(new, self.credentials)

    def _written(self) -> str | None:
        file = configparser.RawConfigParser()
        file.read(self.credentials)
        return file.get("default", "aws_access_key_id", fallback=None)

    def _client(self) -> Any:
        return boto3.client(
            "iam",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )


def _trust(service: str) -> Mapping[str, Any]:
    who = {"Service": f"{service}.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": who, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}
