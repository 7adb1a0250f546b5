"""The bundle as Databricks reads it: its variables filled in."""

import re
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[2] / "databricks"
BUNDLE: dict[str, Any] = yaml.safe_load((FOLDER / "databricks.yml").read_text("utf-8"))
JOB: dict[str, Any] = BUNDLE["resources"]["jobs"]["orchard_daily"]
TASKS: dict[str, Any] = {task["task_key"]: task for task in JOB["tasks"]}


def parameters(task: str, **values: str) -> list[str]:
    """Return a task's command line, as Databricks gives it to the entry point.

    Parameters
    ----------
    values : str
        Of the bundle's variables; others have their default. `run_id` is the job run's.
    """
    run_id = values.pop("run_id")
    known = {name: one["default"] for name, one in BUNDLE["variables"].items() if "default" in one} | values

    def filled(text: str) -> str:
        text = text.replace("{{job.run_id}}", run_id)
        text = re.sub(r"\$\{var\.(\w+)\}", lambda found: str(known[found[1]]), text)
        assert "${" not in text
        assert "{{" not in text
        return text

    return [filled(one) for one in TASKS[task]["python_wheel_task"]["parameters"]]
