"""docker-compose: what docker-compose.yaml runs beside Airflow, and its smoke test."""
