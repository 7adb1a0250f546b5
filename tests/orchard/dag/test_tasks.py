from typing import Any

import boto3
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from botocore.stub import Stubber

from orchard.dag import tasks
from orchard.lake import parents
from orchard.settings import SettingsError
from tests.plans import EXTRACTOR, SETTINGS, settings


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"components": 20, "variance": 0.9},
            "Params components and variance: expected one of them, got 20 and 0.9.",
        ),
        (
            {"prefixes": ["s3://bucket/photos", "s3://bucket/lake/exports"]},
            'Setting prefixes[1]: got "s3://bucket/lake/exports", expected a place beside the lake, "s3://bucket/lake"'
            ": of one in the other, the lake's own pictures would be taken for photos; put the lake beside the photos, "
            "such as s3://bucket/lake and s3://bucket/photos.",
        ),
        (
            {"prefixes": ["s3://"], "extractor": "resnet50"},
            'Setting prefixes[0]: got "s3://", expected s3://bucket[/prefix]; write it as in "s3://bucket/photos".\n'
            'Setting extractor: got "resnet50", expected an extractor_id; '
            'write it as in "mobilenet_v2-f32-575378b4658d".',
        ),
    ],
)
def test_wishes_that_cannot_be_meant(params: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run fails at once, before anything is asked of AWS, and is not tried again."""
    monkeypatch.setattr(tasks, "read_settings", lambda: SETTINGS)
    monkeypatch.setattr("orchard.aws.client", lambda *_: pytest.fail("AWS was asked"))
    with pytest.raises(AirflowFailException) as refused:
        tasks.make_plan("orchard_daily", "r1", params)
    assert str(refused.value) == message


def test_settings_that_cannot_be_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise SettingsError("Setting rate: got 0, expected a number, more than 0; correct it.")

    monkeypatch.setattr(tasks, "read_settings", refuse)
    with pytest.raises(
        AirflowFailException, match=r"^Setting rate: got 0, expected a number, more than 0; correct it\.$"
    ):
        tasks.make_plan("orchard_daily", "r1", {})


def test_a_cluster_that_emr_would_refuse_stops_the_run_when_it_is_planned(
    aws: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only when it is to be rented; and another try would find the same."""
    chosen = settings(
        lake=f"s3://{bucket}/lake", prefixes=(f"s3://{bucket}/photos/",), database=bucket.replace("-", "_")
    )
    aws.client("s3").put_object(Bucket=bucket, Key=f"lake/extractors/{EXTRACTOR}.zip", Body=b"artefact")
    monkeypatch.setattr(tasks, "read_settings", lambda: chosen.but(release="emr-5.36.0"))
    with pytest.raises(AirflowFailException, match=r"- ReleaseLabel: expected emr-7\.\*\.\* or .*, got 'emr-5\.36\.0'"):
        tasks.make_plan("orchard_daily", "r1", {})
    monkeypatch.setattr(tasks, "read_settings", lambda: chosen)
    assert tasks.make_plan("orchard_daily", "r1", {}).instance_types == ("m5.xlarge",)


def test_labels_by_the_setting(aws: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings(
        lake=f"s3://{bucket}/lake", prefixes=(f"s3://{bucket}/photos/",), database=bucket.replace("-", "_")
    )
    for key in (f"lake/extractors/{EXTRACTOR}.zip", "photos/1.jpg", "photos/Fig/2.jpg"):
        aws.client("s3").put_object(Bucket=bucket, Key=key, Body=b"any")
    monkeypatch.setattr(tasks, "read_settings", lambda: chosen.but(label="parent/2"))
    first = tasks.make_plan("orchard_daily", "r1", {})
    assert (first.added, first.unlabelled, first.examples) == (2, 1, (f"s3://{bucket}/photos/1.jpg",))
    # Cleared after the setting was changed, the run does the same batch by the same rule.
    monkeypatch.setattr(tasks, "read_settings", lambda: chosen)
    again = tasks.make_plan("orchard_daily", "r1", {})
    assert (again.added, again.label_rule) == (2, first.label_rule) == (2, "parent/2")


def test_parents_by_the_setting(aws: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    s3, database = aws.client("s3"), bucket.replace("-", "_")
    chosen = settings(lake=f"s3://{bucket}/lake", prefixes=(f"s3://{bucket}/photos/",), database=database)
    for key in (f"lake/extractors/{EXTRACTOR}.zip", "photos/Apple/Gala/1.jpg", "photos/Pear/Anjou/2.jpg"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"any")

    def held(run: str, hierarchy: str) -> dict[str, str]:
        monkeypatch.setattr(tasks, "read_settings", lambda: chosen.but(hierarchy=hierarchy))
        assert tasks.make_plan("orchard_daily", run, {}).listed >= 2
        return parents.read(tasks.aws.catalog(chosen.root, database, chosen.region), database)

    assert held("r1", "parent/2") == {"Gala": "Apple", "Anjou": "Pear"}
    file = f"s3://{bucket}/photos/fruits.csv"
    with pytest.raises(AirflowFailException, match=r"fruits\.csv': it cannot be read \("):
        held("r2", file)
    s3.put_object(Bucket=bucket, Key="photos/fruits.csv", Body=b"Gala,Malus\n")
    assert held("r3", file) == {"Gala": "Malus"}
    assert held("r4", "none") == {}


def test_a_bucket_that_airflow_may_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = boto3.client("s3", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
    monkeypatch.setattr(tasks, "read_settings", lambda: SETTINGS)
    monkeypatch.setattr("orchard.aws.client", lambda *_: s3)
    with Stubber(s3) as stub:
        stub.add_client_error("head_bucket", "403", "Forbidden", 403)
        with pytest.raises(
            AirflowFailException, match=r"^s3://bucket/lake: access is denied\. The bucket is another acc"
        ):
            tasks.make_plan("orchard_daily", "r1", {})
