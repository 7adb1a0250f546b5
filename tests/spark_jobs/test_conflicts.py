"""Two runs that write to a table at once, in Iceberg's own words and in ours."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from spark_jobs.running import outcome
from spark_jobs.running.conflict import SAID
from tests.lakes import new_lake, set_batch

BATCH = {
    **{"uri": "file:///a.jpg", "etag": '"1"', "size": 1, "last_modified": datetime.now(UTC)},
    **{"label": "Fig", "action": "add", "label_rule": "parent"},
}


@pytest.mark.parametrize("kind", ["CommitFailedException", "ValidationException"])
def test_a_conflict_is_a_sentence(kind: str, spark: None, tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    set_batch(lake, "r0", "x", [BATCH])
    iceberg = lake.spark._jvm.org.apache.iceberg  # type: ignore[union-attr]
    table = iceberg.spark.Spark3Util.loadIcebergTable(lake.spark._jsparkSession, lake.name("batches"))
    operations, before = table.operations(), table.operations().current()
    everything = iceberg.expressions.Expressions.alwaysTrue()
    overwrite = table.newOverwrite().overwriteByRowFilter(everything).conflictDetectionFilter(everything)
    set_batch(lake, "another run's", "x", [BATCH])
    operations.refresh()

    with pytest.raises(SystemExit) as ended, outcome.Outcome(str(tmp_path), "r1", "extract").told():
        if kind == "CommitFailedException":
            operations.commit(before, before.buildFrom(before).setProperties({"a": "b"}).build())
        else:
            overwrite.validateNoConflictingData().commit()
    assert ended.value.code == SAID
    assert (tmp_path / "steps" / "r1" / "extract.traceback").read_text() == SAID
    assert "at org.apache" not in SAID
