"""Airflow, which the control plane imports, finds its home in a folder that goes away."""

import tests.airflow_home  # noqa: F401
