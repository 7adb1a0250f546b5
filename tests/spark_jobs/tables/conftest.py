"""A lake for what step 2 writes, whose embeddings a test draws."""

from pathlib import Path

import pytest

from spark_jobs.tables.lake import Lake
from tests.lakes import new_lake


@pytest.fixture
def lake(spark: None, tmp_path: Path) -> Lake:
    lake = new_lake(tmp_path / "lake")
    lake.create_tables("embeddings", "moments", "recognisers")
    return lake
