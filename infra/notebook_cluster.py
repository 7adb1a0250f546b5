"""Notebook_cluster: the request for a cluster to explore on, and what it finds in S3; nothing is asked or sent here."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.environment import Environment
from infra.errors import InfraError
from orchard.aws import split
from orchard.cluster.emr_rules import check_cluster, check_steps
from orchard.cluster.request import DAG_TAG, KEEP_TAG, LAKE_TAG, RUN_TAG, as_tag, job_flow
from orchard.instances import INSTANCES
from orchard.plan import Plan
from orchard.settings import Settings

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
# Livy and the gateway are for EMR Studio, which can be attached to the same cluster.
APPLICATIONS = ("Spark", "Livy", "JupyterHub", "JupyterEnterpriseGateway")
_NO_EXTRACTOR = "mobilenet_v2-f32-000000000000"  # a setting that must be there, and is not used


def settings_of(environment: Environment, outputs: Mapping[str, str], bootstrap: str | None, idle: int) -> Settings:
    """Take a run's settings, with the role and the security configuration of a notebook cluster.

    Raises
    ------
    InfraError
        The stack has none of these, or the release has no JupyterHub.
    """
    missing = [name for name in ("NotebookRole", "NotebookSecurityConfiguration") if not outputs.get(name)]
    if missing:
        raise InfraError(
            f'Stack {environment.stack} has no {" and no ".join(missing)}: set WithNotebook = "true" in the table '
            f"[parameters] of infra/environments/{environment.name}.toml, and `make deploy ENV={environment.name}`."
        )
    settings = Settings.parse(environment.variable(outputs, _NO_EXTRACTOR, bootstrap))
    if not settings.release.startswith("emr-7."):
        raise InfraError(
            f"{settings.release} has no JupyterHub: expected a release emr-7.*.*, such as emr-7.14.0. With this one, "
            "EMR Studio is the way (docs/explore.md)."
        )
    return settings.but(
        instance_profile=outputs["NotebookRole"],
        security_configuration=outputs["NotebookSecurityConfiguration"],
        spot=False,
        idle_minutes=idle,
    )


def request(settings: Settings, environment: str, studio: str | None = None) -> dict[str, Any]:
    """Build the RunJobFlow request: a run's cluster of one core node, with notebooks on it.

    Parameters
    ----------
    studio : str, optional
        The security group of what EMR Studio may speak to.

    Raises
    ------
    EmrRuleError, SettingsError
        EMR would refuse it.
    """
    made = job_flow(settings, _plan(settings))
    tags = {tag["Key"]: tag["Value"] for tag in made["Tags"] if tag["Key"] not in (RUN_TAG, DAG_TAG)}
    tags |= {LAKE_TAG: as_tag(settings.root), KEEP_TAG: "to explore"}
    persistence = {"s3.persistence.enabled": "true", "s3.persistence.bucket": split(settings.root)[0]}
    made |= {
        "Name": name(environment),
        "Applications": [{"Name": one} for one in APPLICATIONS],
        "Configurations": [
            *made["Configurations"],
            {"Classification": "jupyter-s3-conf", "Properties": persistence},
        ],
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())],
    }
    if studio:
        made["Instances"]["AdditionalMasterSecurityGroups"] = [studio]
    if settings.bootstrap:
        made["Steps"] = [_kernels(settings)]
        check_steps(made["Steps"])
    check_cluster(made)
    return made


def name(environment: str) -> str:
    """Name the cluster; a run's begins with "orchard ", and such ones the reaper looks at."""
    return f"orchard-notebook {environment}"


def scripts(settings: Settings) -> str:
    """Return where the cluster finds kernels.sh."""
    return f"{settings.root}/code/kernels.sh"


def notebook(settings: Settings) -> bytes:
    """Fill in the notebook's parameters, in a cell after theirs, as papermill does it."""
    made = json.loads((FOLDER / "explore.ipynb").read_text("utf-8"))
    (at,) = (i for i, cell in enumerate(made["cells"]) if "parameters" in cell["metadata"].get("tags", ()))
    values = {"LAKE": settings.root, "DATABASE": settings.database, "REGION": settings.region}
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    injected = {
        "cell_type": "code",
        "execution_count": None,
        "id": "injected-parameters",
        "metadata": {"tags": ["injected-parameters"]},
        "outputs": [],
        "source": "\n".join(lines).splitlines(keepends=True),
    }
    made["cells"].insert(at + 1, injected)
    return (json.dumps(made, indent=1) + "\n").encode()


def _kernels(settings: Settings) -> dict[str, Any]:
    """Let the primary node read kernels.sh from the lake, and run it; a failure leaves the cluster as it is."""
    line = 'set -o pipefail; aws s3 cp --only-show-errors "$0" - | bash -s -- "$1"'
    command = ["bash", "-c", line, scripts(settings), str(settings.bootstrap)]
    return {
        "Name": "kernels",
        "ActionOnFailure": "CONTINUE",
        "HadoopJarStep": {"Jar": "command-runner.jar", "Args": command},
    }


def _plan(settings: Settings) -> Plan:
    """Plan a run of no photos, on one core node."""
    return Plan(
        dag_id="notebook",
        dag_run_id="notebook",
        run_id="notebook",
        region=settings.region,
        lake=settings.root,
        database=settings.database,
        extractor_id=settings.extractor,
        engine=settings.engine,
        listed=0,
        added=0,
        changed=0,
        deleted=0,
        left=0,
        find_seconds=0.0,
        step_options={},
        instance_type=settings.types[0],
        instance_types=settings.types,
        spot=False,
        core_nodes=1,
        vcpus=INSTANCES[settings.types[0]].vcpus,
        rate=settings.rate,
        seconds=0.0,
        dollars=None,
        keep_cluster=False,
        plan_only=False,
        why=None,
    )
