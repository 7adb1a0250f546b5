"""What is kept of a run, in tables and objects over HTTP."""

import uuid
from typing import Any

import pytest

from orchard.dag.record import publish
from orchard.lake.rows import equal, rows
from orchard.lake.tables import open_catalog, replace_run


def test_a_report_that_cannot_be_made_is_told_and_made_by_the_next_run(
    aws: Any, bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("obstore", reason="a report's tables are made with packages of the data plane")
    from tests.orchard.report.test_page import Tables

    root, database = f"s3://{bucket}/lake", f"db_{uuid.uuid4().hex[:8]}"
    tables, s3 = Tables(open_catalog(root, database), root, database), aws.client("s3")
    variance = {"Bucket": bucket, "Key": "lake/exports/e1/b1/variance.csv"}
    s3.put_object(**variance, Body=b"half\nof a fi")
    first = tables.run("r1", basis_id="b1") | {"unmade": "map: ValueError: odd"}
    replace_run(tables.catalog, database, first)
    assert publish(tables.catalog, database, s3, first, root=root) is None
    assert "The report of run r1 could not be made; the next run makes it again." in caplog.messages
    (row,) = rows(tables.catalog, database, "runs", equal(run_id="r1"))
    assert (row["report"], row["unmade"]) == (None, "report: KeyError: 'cumulative'\nmap: ValueError: odd")

    s3.put_object(**variance, Body=b"component,eigenvalue,explained,cumulative\n1,2.5,0.91,0.91\n")
    second = tables.run("r2", 1, basis_id="b1") | {"unmade": None}
    assert publish(tables.catalog, database, s3, second, root=root) == f"{root}/reports/r2.html"
    kept = rows(tables.catalog, database, "runs", equal(extractor_id="e1"), "run_id", "report", "unmade")
    assert sorted(tuple(one.values()) for one in kept) == [
        ("r1", f"{root}/reports/r1.html", "map: ValueError: odd"),
        ("r2", f"{root}/reports/r2.html", None),
    ]
    for run_id in ("r1", "r2"):
        page = s3.get_object(Bucket=bucket, Key=f"lake/reports/{run_id}.html")["Body"].read().decode()
        assert f"<h1>{run_id}</h1>" in page
