"""Airflow in the tests' own process: imported before Airflow is, it keeps Airflow out of a developer's own home."""

import os
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
_FOLDER = tempfile.TemporaryDirectory(prefix="orchard-airflow-")

ENVIRONMENT = {
    "AIRFLOW_HOME": _FOLDER.name,
    "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
}
os.environ.update(ENVIRONMENT)
