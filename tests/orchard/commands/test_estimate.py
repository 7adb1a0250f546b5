import json
from pathlib import Path

import pytest

from orchard.commands import estimate, settings
from orchard.lake import ledger
from tests.plans import EXTRACTOR

REPOSITORY = Path(__file__).parents[3]


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> list[str]:
    assert estimate.main(argv) == 0
    return capsys.readouterr().out.splitlines()


def test_a_million_photos(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "--photos", "1000000")
    assert lines == [
        "photos   1,000,000",
        "rate     112 photos a second a vCPU (measured: see README, Speed)",
        "cluster  1 primary and 2 core m5.xlarge, 8 vCPUs, eu-west-1",
        "minutes  26, of which a cluster takes 6 to start",
        "dollars  $0.36 (prices of 2026-06, on demand); beside it, about $0.40 of S3's GET requests",
        "",
        "1,000,000 photos: $0.36, 26 minutes on 1 primary and 2 core m5.xlarge in eu-west-1.",
    ]
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    assert f"> {lines[-1]}\n" in readme
    slower = said(capsys, "--photos", "1000000", "--rate", "50")
    assert slower[-1].startswith("1,000,000 photos: $0.64, ")
    assert "and with that it is $0.64." in readme


def test_by_choice(capsys: pytest.CaptureFixture[str]) -> None:
    """The dearest of the types, and on demand: what spot costs is known only afterwards."""
    argv = ["--photos", "1000000", "--region", "eu-central-1", "--rate", "50", "--nodes", "5", "--spot"]
    argv += ["--instance-type", "m5.xlarge", "--instance-type", "m5.2xlarge"]
    lines = said(capsys, *argv)
    # 450 s and 1,000 s of photos; a primary m5.2xlarge, and 5 core m5.xlarge or 3 m5.2xlarge, whichever cost more.
    hour, twice = (each + 84 * 0.0952 / 730 for each in (0.23 + 0.048, 0.46 + 0.096))
    assert lines[1:5] == [
        "rate     50 photos a second a vCPU (as given)",
        "cluster  1 primary and 5 core m5.xlarge or m5.2xlarge, 20 vCPUs, eu-central-1",
        "minutes  24, of which a cluster takes 6 to start",
        f"dollars  at most ${(twice + max(5 * hour, 3 * twice)) * 1450 / 3600:.2f} (prices of 2026-06, on demand); "
        "beside it, about $0.43 of S3's GET requests",
    ]


def test_without_a_price(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "--photos", "5", "--instance-type", "m7g.xlarge")
    assert lines[4].startswith("dollars  price unknown (python -m orchard prices --refresh asks AWS)")
    assert lines[-1] == "5 photos: price unknown, 8 minutes on 1 primary and 1 core m7g.xlarge in eu-west-1."
    lines = said(capsys, "--photos", "5", "--region", "eu-north-1")
    assert lines[4] == "dollars  $0.07 (prices of 2026-06, on demand); beside it, S3's GET requests"


def test_what_cannot_be_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert estimate.main(["--photos", "5", "--instance-type", "m5.xlarge", "--instance-type", "m6g.xlarge"]) == 2
    assert "expected one architecture" in capsys.readouterr().err


def test_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--photos", "0") == ["0 photos: $0.00, for a run without new photos rents no cluster."]


@pytest.mark.parametrize("count", ["-5", "many", "1.5", "1000000001", "1" + 26 * "0", 5000 * "9"])
def test_what_is_no_number_of_photos(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        estimate.main([f"--photos={count}"])
    assert refused.value.code == 2
    assert capsys.readouterr().err.endswith(
        f"error: argument --photos: expected a whole number from 0 to 1,000,000,000, got '{count}'\n"
    )


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--nodes=0", "argument --nodes: expected a whole number from 1 to 1,000, got '0'"),
        ("--nodes=-3", "argument --nodes: expected a whole number from 1 to 1,000, got '-3'"),
        ("--nodes=1000000000", "argument --nodes: expected a whole number from 1 to 1,000, got '1000000000'"),
        ("--rate=0", "argument --rate: expected a number from 0.001 to 1,000,000, got '0'"),
        ("--rate=nan", "argument --rate: expected a number from 0.001 to 1,000,000, got 'nan'"),
        ("--rate=1e-300", "argument --rate: expected a number from 0.001 to 1,000,000, got '1e-300'"),
        ("--rate=1e300", "argument --rate: expected a number from 0.001 to 1,000,000, got '1e300'"),
        ("--minutes=-1", "argument --minutes: expected a number from 1 to 10,080, got '-1'"),
        ("--minutes=1e9", "argument --minutes: expected a number from 1 to 10,080, got '1e9'"),
    ],
)
def test_numbers_that_mean_nothing(option: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        estimate.main(["--photos", "5", option])
    assert (refused.value.code, capsys.readouterr().err.splitlines()[-1][-len(expected) :]) == (2, expected)


@pytest.mark.parametrize("region", ["mars", "", "EU-WEST-1"])
def test_a_region_that_there_is_not(region: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert estimate.main(["--photos", "5", "--region", region]) == 2
    assert f'region: got "{region}", expected ' in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["m5.huge", ""])
def test_an_instance_type_that_there_is_not(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert estimate.main(["--photos", "5", "--instance-type", kind]) == 2
    assert f'got "{kind}", expected ' in capsys.readouterr().err


def test_the_ends_of_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    least, most = ["--photos", "1", "--minutes", "10080"], ["--photos", "1000000000", "--minutes", "1"]
    for given in (least, [*most, "--rate", "0.001"], [*most, "--rate", "1000000", "--nodes", "1000"]):
        said(capsys, *given)


def test_with_the_settings_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"lake": "s3://bucket/lake", "prefixes": ["s3://bucket/photos"], "extractor": EXTRACTOR}
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(given | {"region": "eu-west-3", "instance_type": "m5.2xlarge", "target_minutes": 20}))
    lines = said(capsys, "--photos", "1000000", "--settings", str(file))
    assert lines[1:3] == [
        "rate     112 photos a second a vCPU (measured: see README, Speed)",
        "cluster  1 primary and 2 core m5.2xlarge, 16 vCPUs, eu-west-3",
    ]


def test_with_a_file_of_wrong_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them are named, whatever the number of photos; `settings --check` says the same."""
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"lake": "s3://bucket/lake", "prefixes": ["/photos"], "ebs_gib": 9, "colour": "red"}))
    assert estimate.main(["--photos", "0", "--settings", str(file)]) == 2
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == f"{file}:"
    assert [line.partition(": got ")[0] for line in lines] == [
        f"Setting {name}" for name in ("prefixes[0]", "extractor", "ebs_gib", "colour")
    ]
    assert settings.main(["--check", str(file)]) == 1
    assert capsys.readouterr().err.splitlines() == [first, *lines]


def test_settings_that_are_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert estimate.main(["--photos", "5", "--settings", "nope.json"]) == 2
    assert capsys.readouterr().err.startswith("nope.json: No such file or directory; expected a JSON object of ")


@pytest.mark.parametrize(
    ("rates", "line"),
    [
        ([90.0, 80.0, 10.0], "rate     80 photos a second a vCPU (of this lake's newest runs)"),
        ([], "rate     60 photos a second a vCPU (the setting: no run tells yet)"),
    ],
)
def test_with_an_airflows_settings_and_runs(
    rates: list[float], line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"lake": "s3://bucket/lake", "prefixes": ["s3://bucket/photos"], "extractor": EXTRACTOR}
    given |= {"region": "eu-west-3", "rate": 60}
    monkeypatch.setenv("AIRFLOW_VAR_ORCHARD", json.dumps(given))
    monkeypatch.setattr("orchard.aws.catalog", lambda *where: where)

    def found(catalog: tuple[str, ...], database: str, extractor_id: str) -> list[float]:
        assert (catalog, database) == (("s3://bucket/lake", "orchard", "eu-west-3"), "orchard")
        assert extractor_id == EXTRACTOR
        return rates

    monkeypatch.setattr(ledger, "rates", found)
    lines = said(capsys, "--photos", "1000000", "--airflow")
    assert lines[1] == line
    assert lines[2].endswith("eu-west-3")
