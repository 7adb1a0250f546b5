import json
from pathlib import Path
from typing import ClassVar

import pytest
import structlog

from orchard.commands.command_settings import of_airflow, of_file
from orchard.settings import SettingsError
from tests.plans import EXTRACTOR

GIVEN = {"lake": "s3://bucket/lake", "prefixes": ["s3://bucket/photos"], "extractor": EXTRACTOR}


def test_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(GIVEN))
    assert of_file(file).root == "s3://bucket/lake"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, ": No such file or directory; expected a JSON object of settings, such as .orchard/deploy/<env>.json"),
        (b"", " is not JSON (Expecting value: line 1 column 1 (char 0)); expected a JSON object of settings, "),
        (b"\xff", " is not JSON ('utf-8' codec can't decode byte 0xff in position 0: invalid start byte); expected "),
        (b'{"tags": {"a": "1", "a": "2"}}', ': "a" stands twice in one object, take out one of them; expected a JSON '),
        (b'{"colour": 1}', ":\nSetting lake: got nothing, expected "),
    ],
)
def test_a_file_that_makes_no_sense(content: bytes | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        of_file(file)
    assert str(refused.value).startswith(f"{file}{message}")


def test_of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_ORCHARD", json.dumps(GIVEN))
    assert of_airflow().root == "s3://bucket/lake"


def test_without_a_database(capfd: pytest.CaptureFixture[str]) -> None:
    before = list(structlog.get_config()["processors"])
    with pytest.raises(SettingsError) as refused:
        of_airflow()
    assert str(refused.value) == (
        "Airflow has no database here that can be read (OperationalError). `airflow db migrate` makes one; or this is "
        "not where Airflow runs: --settings FILE takes the settings from a file."
    )
    assert "".join(capfd.readouterr()) == ""
    assert structlog.get_config()["processors"] == before


class Vault:
    """A secrets backend of somebody's own, out of order."""

    asked: ClassVar[list[str]] = []

    def get_variable(self, key: str) -> str | None:
        self.asked.append(key)
        raise RuntimeError("the vault is shut")


def test_what_another_backend_says_is_shown(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("airflow.sdk.execution_time.supervisor.ensure_secrets_backend_loaded", lambda: [Vault()])
    with pytest.raises(SettingsError, match=r"^The Airflow variable orchard is missing\."):
        of_airflow()
    assert Vault.asked == ["orchard"]
    assert "the vault is shut" in "".join(capfd.readouterr())
