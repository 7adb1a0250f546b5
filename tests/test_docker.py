"""What Dockerfile and docker-compose.yaml must keep to, without an engine; `make smoke` tries them with one."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.compose.secrets import generate
from local.compose.smoke import IMAGES

REPOSITORY = Path(__file__).resolve().parents[1]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text("utf-8")
COMPOSE = (REPOSITORY / "docker-compose.yaml").read_text("utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer")


def test_the_base_has_the_airflow_that_is_pinned() -> None:
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    (pinned,) = (one for one in extras["airflow"] if one.startswith("apache-airflow=="))
    bases = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    assert bases == {f"apache/airflow:{pinned.partition('==')[2]}"}
    assert set(IMAGES) == bases | {SERVICES["postgres"]["image"]}


def test_the_same_uv_as_in_make_setup() -> None:
    (version,) = re.findall(r"^UV_VERSION := (\S+)$", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert f"\nARG UV_VERSION={version}\n" in DOCKERFILE


def test_what_is_copied_is_not_ignored() -> None:
    kept = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            if not source.startswith("--"):
                assert source.partition("/")[0] in kept
                assert (REPOSITORY / source).exists()


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_on_loopback_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:${ORCHARD_") for port in SERVICES[name].get("ports", []))
    assert SERVICES[name].get("network_mode") is None


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_in_the_file(name: str) -> None:
    given = SERVICES[name].get("environment", {})
    told = {key: value for key, value in given.items() if re.search("PASS|SECRET|FERNET|CONN|TOKEN", key)}
    allowed = {"AWS_SECRET_ACCESS_KEY": "test", "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": None}
    for key, value in told.items():
        assert key.endswith("_CMD") or key in allowed
        assert allowed.get(key) in (None, value)
        assert key == "AWS_SECRET_ACCESS_KEY" or "/settings/" in value


def test_all_secrets_that_are_made_are_read_and_the_other_way_round() -> None:
    read = set(re.findall(r"/settings/([\w.]+)", COMPOSE)) - {"variables.json", "aws_credentials"}
    assert read == set(generate())


@pytest.mark.parametrize("name", [*AIRFLOW, "init"])
def test_airflow_has_a_key_of_its_own_which_the_aws_of_this_machine_makes(name: str) -> None:
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} & set(SERVICES[name]["environment"])
    assert SERVICES[name]["environment"]["AWS_SHARED_CREDENTIALS_FILE"] == "/settings/aws_credentials"
    assert "--credentials=/settings/aws_credentials" in SERVICES["local"]["command"]
    assert "settings:/settings" in SERVICES["local"]["volumes"]


@pytest.mark.parametrize("name", AIRFLOW)
def test_code_is_mounted_for_live_reload_and_cannot_be_written_to(name: str) -> None:
    mounted = [one.split(":") for one in SERVICES[name]["volumes"] if one.startswith("./")]
    assert {source for source, *_ in mounted} == {"./dags", "./plugins", "./spark_jobs", "./local/compose/config"}
    assert all((REPOSITORY / source).is_dir() and options == ["ro"] for source, _, *options in mounted)


@pytest.mark.parametrize("name", [*AIRFLOW, "postgres", "local"])
def test_what_stays_up_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_every_volume_is_declared_and_used() -> None:
    used = {
        re.sub(r"\$\{\w+:-(\w+)\}", r"\1", one).partition(":")[0]
        for service in SERVICES.values()
        for one in service.get("volumes", [])
    }
    assert {one for one in used if not one.startswith("./")} == set(yaml.safe_load(COMPOSE)["volumes"])
