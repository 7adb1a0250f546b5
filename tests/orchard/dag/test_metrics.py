"""Figures that the alarms watch, in a CloudWatch over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchard.dag import metrics
from orchard.settings import SettingsError
from tests.plans import settings


def test_a_figure_of_an_environment(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cloudwatch = aws.client("cloudwatch")
    monkeypatch.setattr("orchard.aws.client", lambda service, region: cloudwatch)
    metrics.put(settings(tags={"orchard:environment": "try"}), metrics.CLUSTER_HOURS, 6.5)
    metrics.put(settings(), metrics.CLUSTER_HOURS, 9.0)  # nobody watches
    now = datetime.now(UTC)
    (found,) = cloudwatch.list_metrics(Namespace="Orchard", MetricName="ClusterHours")["Metrics"]
    assert found["Dimensions"] == [{"Name": "Environment", "Value": "try"}]
    (point,) = cloudwatch.get_metric_statistics(
        Namespace="Orchard",
        MetricName="ClusterHours",
        Dimensions=[{"Name": "Environment", "Value": "try"}],
        StartTime=now - timedelta(hours=2),
        EndTime=now + timedelta(hours=1),
        Period=10800,
        Statistics=["Maximum"],
    )["Datapoints"]
    assert point["Maximum"] == 6.5


def test_no_run_fails_for_a_figure(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("orchard.aws.client", lambda service, region: 1 / 0)
    metrics.put(settings(tags={"orchard:environment": "try"}), metrics.FAILED_RUNS, 1)
    assert caplog.messages == ["The figure FailedRuns of environment try could not be put."]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SettingsError("The Airflow variable orchard is missing."), "no settings can be read here."),
        (OSError("no route to CloudWatch"), "OSError: no route to CloudWatch"),
    ],
)
def test_the_callback_of_a_failed_run_never_fails(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read_settings() -> None:
        raise error

    monkeypatch.setattr(metrics, "read_settings", read_settings)
    metrics.tell_of_failure({})
    assert caplog.messages == [f"No alarm hears that the run failed: {said}"]
