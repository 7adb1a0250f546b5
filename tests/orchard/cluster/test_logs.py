import gzip
import logging
from typing import Any

import pytest

from orchard.cluster import logs


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("s3://bucket/lake/logs/", "s3://bucket/lake/logs/j-1/steps/s-1/"),
        ("s3n://bucket/lake/logs", "s3://bucket/lake/logs/j-1/steps/s-1/"),
        (None, None),
    ],
)
def test_where_logs_are(uri: str | None, address: str | None) -> None:
    assert logs.step_logs({"Id": "j-1"} | ({"LogUri": uri} if uri else {}), "s-1") == address


@pytest.mark.parametrize(
    ("code", "message", "below"),
    [
        (
            "BOOTSTRAP_FAILURE",
            "On the master instance (i-0a1b2c3d4e5f60718), bootstrap action 2 returned a non-zero return code",
            "i-0a1b2c3d4e5f60718/bootstrap-actions/2/",
        ),
        (
            "BOOTSTRAP_FAILURE",
            "On 2 slave instances (including i-105af6bf and i-b659f519), bootstrap action 1 returned a non-zero return "
            "code",
            "i-105af6bf/bootstrap-actions/1/",
        ),
        (
            "BOOTSTRAP_FAILURE",
            "On the master instance (i-0a1b2c3d4e5f60718), application provisioning failed",
            "i-0a1b2c3d4e5f60718/",
        ),
        ("BOOTSTRAP_FAILURE", "Something else", ""),
        ("USER_REQUEST", "Terminated by user request", None),
        (None, None, None),
    ],
)
def test_where_the_logs_of_a_bootstrap_action_are(code: str | None, message: str | None, below: str | None) -> None:
    reason = {key: value for key, value in (("Code", code), ("Message", message)) if value}
    one = {"Id": "j-1", "LogUri": "s3://bucket/logs/", "Status": {"StateChangeReason": reason}}
    assert logs.bootstrap_logs(one) == (None if below is None else f"s3://bucket/logs/j-1/node/{below}")
    assert logs.bootstrap_logs({"Id": "j-1", "Status": {}}) is None


def test_last_lines_of_a_log(aws: Any, bucket: str) -> None:
    s3 = aws.client("s3")
    address = f"s3://{bucket}/logs/j-1/steps/s-1/stderr.gz"
    assert logs.last_lines(s3, address) is None  # not there yet
    text = "\n".join(f"line {i}" for i in range(100)) + "\ncafé \N{GREEN APPLE}\n"
    s3.put_object(Bucket=bucket, Key="logs/j-1/steps/s-1/stderr.gz", Body=gzip.compress(text.encode() + b"\xff"))
    assert logs.last_lines(s3, address, 3) == "line 99\ncafé \N{GREEN APPLE}\n\N{REPLACEMENT CHARACTER}"
    assert len((logs.last_lines(s3, address) or "").splitlines()) == 40


def test_what_a_task_says_of_them(aws: Any, bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    s3, folder, log = aws.client("s3"), f"s3://{bucket}/logs/j-1/steps/s-1/", logging.getLogger("orchard")
    s3.put_object(Bucket=bucket, Key="logs/j-1/steps/s-1/stdout.gz", Body=gzip.compress(b"one\ntwo\n"))
    logs.tell(log, s3, folder, 0.0)
    s3.put_object(Bucket=bucket, Key="logs/j-1/steps/s-1/stderr.gz", Body=gzip.compress(b""))
    logs.tell(log, s3, folder, 0.0)
    said = f"The last lines of {folder}stdout.gz:\none\ntwo"
    assert caplog.messages == [said, f"EMR has not brought the logs yet: they will be under {folder}", said]
