"""The principals of this machine, in a real IAM: their key, and what they may do from one lake to the next."""

import configparser
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.principals import AIRFLOW, Principals
from tests.conftest import REGION, Aws


def key_in(path: Path) -> tuple[str, str]:
    file = configparser.RawConfigParser()
    file.read(path)
    return file["default"]["aws_access_key_id"], file["default"]["aws_secret_access_key"]


def s3_of(principals: Principals) -> Any:
    return boto3.Session(*key_in(principals.credentials), region_name=REGION).client(
        "s3", endpoint_url=principals.endpoint
    )


def keys_of_airflow(aws: Aws) -> list[str]:
    found = aws.client("iam").list_access_keys(UserName=AIRFLOW)["AccessKeyMetadata"]
    return [one["AccessKeyId"] for one in found]


def test_the_key_stays_while_iam_knows_it(aws: Aws, tmp_path: Path) -> None:
    principals = Principals(aws.url, REGION, tmp_path / "credentials")
    principals.make("orchard", "orchard")
    first = key_in(principals.credentials)
    principals.make("orchard", "orchard")  # as after a restart
    assert key_in(principals.credentials) == first
    assert principals.credentials.stat().st_mode & 0o777 == 0o640
    aws.client("iam").delete_access_key(UserName=AIRFLOW, AccessKeyId=first[0])  # as after a kill: IAM has forgotten
    principals.make("orchard", "orchard")
    second = key_in(principals.credentials)
    assert second != first
    principals.credentials.unlink()
    principals.make("orchard", "orchard")
    assert key_in(principals.credentials) not in (first, second)
    assert keys_of_airflow(aws) == [key_in(principals.credentials)[0]]


def test_one_lake_at_a_time(aws: Aws, bucket: str, tmp_path: Path) -> None:
    principals = Principals(aws.url, REGION, tmp_path / "credentials")
    principals.make(bucket, "one")
    s3 = s3_of(principals)
    s3.put_object(Bucket=bucket, Key="lake/reports/one.html", Body=b"x")
    principals.permit("another", "another")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=bucket, Key="lake/reports/two.html", Body=b"x")
    principals.permit(bucket, "one")
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["lake/reports/one.html"]


def test_policies_name_the_lake_and_nothing_of_the_template(tmp_path: Path) -> None:
    airflow, node = Principals("http://127.0.0.1:1", REGION, tmp_path).policies("fruit", "fruit_tables")
    for policy in (airflow, node):
        (tables,) = [one for one in policy["Statement"] if one["Sid"] == "Tables"]
        assert tables["Resource"] == [
            "arn:aws:glue:eu-west-1:000000000000:catalog",
            "arn:aws:glue:eu-west-1:000000000000:database/fruit_tables",
            "arn:aws:glue:eu-west-1:000000000000:table/fruit_tables/*",
        ]
        (read,) = [one for one in policy["Statement"] if one["Sid"] == "Read"]
        assert read["Resource"] == ["arn:aws:s3:::fruit/photos/*", "arn:aws:s3:::fruit/lake/*"]
