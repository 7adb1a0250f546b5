"""Metrics: figures in CloudWatch, which the alarms of infra/orchard.yaml watch.

They are an environment's, by the tag that `make deploy` puts into the settings: where there is none, nobody watches,
and nothing is put. What cannot be put is logged: no run fails for its figures.
"""

import logging
from typing import Any

from orchard import aws
from orchard.settings import Settings, SettingsError, read_settings

_LOG = logging.getLogger("orchard")

NAMESPACE, DIMENSION, TAG = "Orchard", "Environment", "orchard:environment"
CLUSTER_HOURS = "ClusterHours"  # the age of the oldest live cluster, put every hour; 0 without any
FAILED_RUNS = "FailedRuns"  # 1 when a run of orchard_daily has failed


def put(settings: Settings, name: str, value: float) -> None:
    """Put a figure."""
    if environment := settings.tags.get(TAG):
        data = {"MetricName": name, "Dimensions": [{"Name": DIMENSION, "Value": environment}], "Value": value}
        try:
            aws.client("cloudwatch", settings.region).put_metric_data(Namespace=NAMESPACE, MetricData=[data])
        except Exception:  # of boto3, or of Airflow's connection
            _LOG.exception("The figure %s of environment %s could not be put.", name, environment)


def tell_of_failure(context: Any) -> None:
    """Put that a run has failed, whatever failed in it: the DAG's callback, which never fails itself."""
    try:
        put(read_settings(), FAILED_RUNS, 1)
    except SettingsError:  # `airflow dags test` can read no variable here; else find_new_photos has said it
        _LOG.warning("No alarm hears that the run failed: no settings can be read here.")
    except Exception as error:  # Airflow's own services call it, and the run is red already
        _LOG.warning("No alarm hears that the run failed: %s: %s", type(error).__name__, error)
