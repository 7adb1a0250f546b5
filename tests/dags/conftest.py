"""Airflow finds the DAGs and the plugin of this checkout, and its home in a folder that goes away."""

import tests.airflow_home  # noqa: F401
