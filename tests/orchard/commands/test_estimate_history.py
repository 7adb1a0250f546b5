"""`estimate --history`, on the table `runs` of a lake as the DAG writes it."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchard.commands import estimate
from orchard.lake.tables import open_catalog, replace_run
from tests.orchard.past_lake import past_lake
from tests.plans import EXTRACTOR

REPOSITORY = Path(__file__).parents[3]
PAST = """\
4 runs of mobilenet_v2-f32-0123456789ab in 6 days; on 2 of them nothing was rented: $0.00. 246,100 photos, prices of \
eu-west-1
As it was: 9.1 minutes a run (median), $0.39 in all

  type         market    nodes  minutes   $ a run  $ in all  photos a second a vCPU
* m5.xlarge    on demand     1      9.0    0.0820     0.404  100, measured
  m5.2xlarge   on demand     1      9.0     0.161     0.679  100, assumed: as on m5.xlarge
  m5.2xlarge   spot          1      9.0     0.161     0.679  100, assumed: as on m5.xlarge
  m6g.xlarge   spot          1      9.0  no price  no price  100, assumed: as on m5.xlarge
  m6g.xlarge   on demand     1      9.0  no price  no price  100, assumed: as on m5.xlarge
  m5.xlarge    spot          1      9.0  no price  no price  100, measured

* in use. Nodes are core nodes beside one primary; nodes, minutes and $ a run are medians over the runs.
Nodes are those that a plan of today chooses. What was not embedding takes as long as it did in each run.
Assumed speeds are no measurement: a type's vCPU may be faster or slower until runs of this lake tell.
Prices of 2026-06, on demand. The primary and one core node are on demand in both markets;
spot nodes are taken to be had, and to stay: one that is taken away costs its tasks, done again.
No price of: EC2's spot price of m5.xlarge, EC2's spot price of m6g.xlarge, EMR's part of m6g.xlarge.
AWS tells them: python -m orchard prices --refresh --spot
m6g.xlarge spot: at least $0.234 in all
m6g.xlarge on demand: at least $0.270 in all
m5.xlarge spot: at least $0.359 in all, at most $0.404, which is on demand
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = Path(tmp_path_factory.mktemp("lake"))
    past_lake(folder)
    return str(folder)


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert estimate.main(["--history", *argv]) == 0
    return capsys.readouterr().out


def test_what_a_person_sees(lake: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And what docs/aws.md shows."""
    assert said(capsys, "--lake", lake, "--minutes", "15") == PAST
    page = (REPOSITORY / "docs" / "aws.md").read_text("utf-8")
    assert f"$ python -m orchard estimate --history --lake s3://fruits/lake --minutes 15\n{PAST}```" in page


def test_years(lake: str, capsys: pytest.CaptureFixture[str]) -> None:
    """3,000 photos in two of three days are 730,000 a year; a LIST more for each thousand of them."""
    lines = said(capsys, "--lake", lake, "--years", "2", "--instance-type", "m5.xlarge").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("Dollars a day"))
    assert lines[start] == (
        "Dollars a day, by the newest 4 runs in 6 days: 0.67 runs a day of 3,000 photos, by which the lake grows by "
        "3,000 (medians)"
    )
    rows = {line[:24].strip(): line[24:].split() for line in lines[start + 2 : start + 8]}
    assert rows["in so many years"] == ["now", "1", "2"]
    assert rows["photos in the lake"] == ["1,000", "731,000", "1,461,000"]
    assert rows["S3, requests"] == ["0.0020", "0.0057", "0.0093"]
    clusters = 2 * 0.272126 * (480 + 30 + 3000 / 400 - 30) / 3600 * 4 / 6  # 450, 480, 450 and 480 s; 120 in one of four
    assert float(rows["* m5.xlarge on demand"][0]) == pytest.approx(clusters + 0.002, abs=2e-3)
    assert rows["* m5.xlarge on demand"] == rows["m5.xlarge spot"]
    growth = float(rows["* m5.xlarge on demand"][2]) - float(rows["* m5.xlarge on demand"][0])
    assert growth == pytest.approx(0.0093 - 0.0020 + float(rows["S3, storage"][2]), abs=2e-4)
    assert (
        "- a cluster costs what its new photos cost, whatever the lake holds (tried by python -m benchmarks.years)"
        in lines
    )


def test_prices_of_s3_that_are_not_known(lake: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "--lake", lake, "--years", "1", "--region", "eu-north-1").splitlines()
    rows = {line[:24].strip(): line[24:].split() for line in lines if line[24:]}
    assert rows["S3, storage"] == ["no", "price", "no", "price"]
    assert rows["* m5.xlarge on demand"] == ["no", "price", "no", "price"]
    assert lines[-2:] == [
        "No price of: S3's price of get in eu-north-1, S3's price of list in eu-north-1, "
        "S3's price of storage in eu-north-1.",
        "AWS tells them: python -m orchard prices --refresh --spot",
    ]


def test_a_region_without_prices(lake: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "--lake", lake, "--years", "1", "--region", "us-east-1").splitlines()
    assert next(line for line in lines if line.startswith("*")).split()[5:9] == ["9.0", "no", "price", "no"]
    assert "No price of: all prices of us-east-1." in lines
    assert "$0" not in "".join(lines[3:])


def test_runs_that_rented_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalog = open_catalog(str(tmp_path))
    row = {"embedded": 1000, "embed_seconds": 10.0, "vcpus": 2, "added": 1000}
    replace_run(catalog, "orchard", {"run_id": "a", "extractor_id": "e", "ended_at": datetime.now(UTC), **row})
    lines = said(capsys, "--lake", str(tmp_path), "--instance-type", "m5.xlarge", "--years", "1").splitlines()
    assert lines[:4] == [
        "1 run of e in 1 day. 1,000 photos, prices of eu-west-1",
        "",
        "  type         market    nodes  minutes   $ a run  $ in all  photos a second a vCPU",
        "  m5.xlarge    on demand     1      7.6    0.0688    0.0688  50, assumed: as on a machine of its own",
    ]
    assert "- the lake holds no photo: what its tables will take is not known" in lines


def test_an_empty_lake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_catalog(str(tmp_path))
    assert said(capsys, "--lake", str(tmp_path)) == "No run has ended in this lake yet: there is nothing to replay.\n"


def test_no_lake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert estimate.main(["--history", "--lake", str(tmp_path / "none"), "--database", "fruits"]) == 2
    assert capsys.readouterr().err.startswith(f"There is no lake at {tmp_path}/none, database fruits: ")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], "one of the arguments --photos --history is required"),
        (["--history"], "--history: expected --lake, --settings or --airflow beside it, which say whose runs."),
        (["--photos=5", "--years=3"], "--years: expected --history beside it."),
        (["--photos=5", "--lake=x"], "--lake: expected --history beside it."),
        (["--history", "--airflow", "--database=x"], "--database: expected --lake beside it."),
        (["--history", "--lake=x", "--years=0"], "argument --years: expected a whole number from 1 to 100, got '0'"),
    ],
)
def test_options_that_do_not_go_together(argv: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        estimate.main(argv)
    assert (refused.value.code, capsys.readouterr().err.splitlines()[-1][-len(expected) :]) == (2, expected)


def test_a_lake_in_s3_by_its_settings(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They decide about nodes, region and market, too; Airflow's, and those of a file."""
    database = bucket.replace("-", "_")
    past_lake(f"s3://{bucket}/lake", database)
    given = {"lake": f"s3://{bucket}/lake", "prefixes": [f"s3://{bucket}/photos"], "extractor": EXTRACTOR, "spot": True}
    given |= {"database": database, "region": os.environ["AWS_REGION"], "min_core_nodes": 2}
    monkeypatch.setenv("AIRFLOW_VAR_ORCHARD", json.dumps(given))
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(given))
    lines = said(capsys, "--settings", str(file), "--instance-type", "m5.xlarge", "--years", "1").splitlines()
    assert [line.split()[:5] for line in lines[4:6]] == [
        ["m5.xlarge", "on", "demand", "2", "9.0"],
        ["*", "m5.xlarge", "spot", "2", "9.0"],
    ]
    assert lines[-1].startswith("- one listing a day")
    others = said(capsys, "--airflow", "--instance-type", "m5.xlarge", "--years", "1").splitlines()
    assert others[-len(lines) :] == lines


def test_nothing_but_the_table_on_stdout(lake: str) -> None:
    """Airflow sends what libraries tell there, once it is imported; pyiceberg a line a table."""
    argv = [sys.executable, "-m", "orchard", "estimate", "--history", "--lake", lake, "--minutes", "15"]
    paths = os.pathsep.join([str(REPOSITORY / "plugins"), str(REPOSITORY)])
    done = subprocess.run(
        argv, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, PAST), done.stderr
