"""Who is at work on a lake: on a real S3 over HTTP, with many who want it at once."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from orchard.lake.lease import AtWorkError, Lease, alone
from tests.conftest import Aws
from tests.local.emr.servers import until


@pytest.fixture
def s3(aws: Aws) -> Any:
    return aws.client("s3")


@pytest.fixture
def root(bucket: str) -> str:
    return f"s3://{bucket}/lake"


def test_one_at_a_time(s3: Any, root: str) -> None:
    ada, ben = Lease(root, "ada's run", s3), Lease(root, "ben's run", s3)
    assert ada.other() is None
    assert ada.take() is None
    assert ada.take() is None  # done again
    other = ben.take()
    assert other is not None and (other.holder, other.ends - other.renewed) == ("ada's run", timedelta(minutes=20))
    assert str(other) == (
        f"ada's run, last heard of at {other.renewed:%H:%M:%S} UTC; if it is never heard of again, the lake is free at "
        f"{other.ends:%H:%M:%S} UTC"
    )
    assert (ben.renew(), ben.give_back()) == (False, False)
    assert ada.give_back()
    assert (ada.other(), ben.other(), ada.renew()) == (None, None, False)
    assert ben.take() is None
    other = ada.take()
    assert other is not None and other.holder == "ben's run"


def test_it_ends_by_itself(s3: Any, root: str) -> None:
    """And whoever was away for too long takes nothing back from the next one."""
    dead, late = Lease(root, "dead", s3, term=0), Lease(root, "late", s3, term=0)
    assert dead.take() is None
    assert late.take() is None
    assert (dead.renew(), dead.give_back()) == (False, False)
    assert late.renew()  # it has ended, but nobody wanted it
    assert Lease(root, "next", s3).take() is None
    assert (late.renew(), late.give_back()) == (False, False)


def test_broken_by_hand(s3: Any, root: str, bucket: str) -> None:
    ada = Lease(root, "ada", s3)
    ada.take()
    said = json.loads(s3.get_object(Bucket=bucket, Key="lake/lease.json")["Body"].read())
    assert said | {"holder": "ada", "term": 1200} == said
    s3.delete_object(Bucket=bucket, Key="lake/lease.json")
    assert not ada.renew()
    assert Lease(root, "ben", s3).take() is None


@pytest.mark.parametrize("before", ["nothing", "given back", "ended"])
def test_of_many_at_once_one_has_it(before: str, s3: Any, root: str) -> None:
    if before != "nothing":
        first = Lease(root, "first", s3, term=0 if before == "ended" else 60)
        assert first.take() is None
        assert before == "ended" or first.give_back()
    many = [Lease(root, f"run {number}", s3) for number in range(8)]
    together = threading.Barrier(len(many))

    def take(lease: Lease) -> Any:
        together.wait()
        return lease.take()

    with ThreadPoolExecutor(len(many)) as pool:
        others = list(pool.map(take, many))
    (winner,) = [lease.holder for lease, other in zip(many, others, strict=True) if other is None]
    assert {other.holder for other in others if other} == {winner}


def test_a_process_has_a_lake_to_itself(aws: Aws, root: str, tmp_path: Path) -> None:
    for place in (root, str(tmp_path / "lake")):
        busy = pytest.raises(
            AtWorkError, match=f"^Another run works on the lake {place}: .*[Ww]ait until it has ended.$"
        )
        with alone(place, "run_local"), busy, alone(place, "rollback"):
            pass
        with pytest.raises(KeyError), alone(place, "rollback"):
            raise KeyError
        with alone(place, "run_local"):
            pass


def test_with_policies_of_before(aws: Aws, root: str, bucket: str) -> None:
    """They let Airflow read the lake, and write what it knew of."""
    iam = aws.client("iam")
    iam.create_user(UserName=bucket)
    key = iam.create_access_key(UserName=bucket)["AccessKey"]
    reads = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [reads]})
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    lease = Lease(root, "ada", boto3.client("s3", endpoint_url=aws.url, **keys))
    for policies in ([], [policy]):
        for one in policies:
            iam.put_user_policy(UserName=bucket, PolicyName="before", PolicyDocument=one)
        with pytest.raises(PermissionError) as denied:
            lease.take()
        assert str(denied.value).startswith(f"{root}/lease.json: access is denied, An error occurred (AccessDenied)")
        assert str(denied.value).endswith(
            ". Whoever works on a lake writes there that it does: allow s3:GetObject and s3:PutObject on it, "
            "as `make deploy` does for Airflow."
        )


def test_it_is_renewed_meanwhile(s3: Any, root: str, bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    """And where it was lost all the same, that is told."""
    ada, ben = Lease(root, "ada", s3, term=0.04), Lease(root, "ben", s3)
    ada.take()

    def written() -> str:
        return str(json.loads(s3.get_object(Bucket=bucket, Key="lake/lease.json")["Body"].read())["written"])

    before = written()
    with ada.renewed():
        until(lambda: written() != before)
        until(lambda: ben.take() is None)
        until(lambda: caplog.text)
    assert f"The lake {root} is not this run's any more: ben, last heard of at " in caplog.text
