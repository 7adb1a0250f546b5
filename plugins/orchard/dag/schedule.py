"""Schedule: when orchard_daily runs by itself: every day, and when photos have come.

It is the same for everybody, as parsing a DAG reads no setting: where none is watched for, `PhotosTrigger` sleeps.
"""

from typing import Any

from airflow.sdk import Asset, AssetWatcher

from orchard.dag.watcher import PhotosTrigger

try:
    from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable
except ImportError:  # 3.1
    from airflow.timetables.assets import AssetOrTimeSchedule  # type: ignore[assignment]
    from airflow.timetables.trigger import CronTriggerTimetable  # type: ignore[assignment]

# Airflow has one run at most waiting for it, however often it is updated while orchard_daily has a run.
PHOTOS = Asset(
    name="orchard_photos",
    uri="orchard://bucket/photos",
    watchers=[AssetWatcher(name="orchard_photos", trigger=PhotosTrigger())],
)


def daily_and_when_photos_come() -> Any:
    """Make the schedule; its daily part is what Airflow makes of ``@daily``."""
    return AssetOrTimeSchedule(timetable=CronTriggerTimetable("@daily", timezone="UTC"), assets=PHOTOS)
