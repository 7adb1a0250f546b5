"""Mwaa: what Amazon's managed Airflow is given, as the three things that it takes: DAGs, plugins.zip, requirements.txt.

It knows no folder beside plugins/, so the jobs' code is in plugins.zip. Airflow and its Amazon provider are the
service's own.
"""

import argparse
import re
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = Path(".orchard/mwaa")
# What dags/ and plugins/ import beside Airflow and what it brings; their own dependencies follow from these.
NEEDED = ("aiobotocore", "duckdb", "pillow", "pyarrow", "pyiceberg")
CONSTRAINTS = "orchard-constraints.txt"  # in the DAGs' folder, which the service's workers see
_EPOCH = (1980, 1, 1, 0, 0, 0)  # zip's first: the same code is the same zip


def main(argv: Sequence[str]) -> int:
    """Write the three into a folder, and say where they go."""
    parser = argparse.ArgumentParser(prog="python -m infra mwaa", description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write to (default: %(default)s/)")
    out = parser.parse_args(argv).out
    build(out)
    print(
        f"{out}/dags/, {out}/plugins.zip and {out}/requirements.txt are what the environment is to be given:\n"
        f"  aws s3 sync {out}/dags s3://<its bucket>/dags\n"
        f"  aws s3 cp {out}/plugins.zip s3://<its bucket>/plugins.zip\n"
        f"  aws s3 cp {out}/requirements.txt s3://<its bucket>/requirements.txt\n"
        "Then update the environment to the new versions of the two files: it takes them when it starts anew."
    )
    return 0


def build(out: Path) -> None:
    """Write ``dags/``, ``plugins.zip`` and ``requirements.txt`` into a folder, made when missing."""
    shutil.rmtree(out / "dags", ignore_errors=True)
    (out / "dags").mkdir(parents=True)
    for path in sorted((ROOT / "dags").glob("*.py")):
        shutil.copy(path, out / "dags")
    with zipfile.ZipFile(out / "plugins.zip", "w") as archive:
        for path, name in _plugins():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    pins = _pins((ROOT / "requirements-airflow31.txt").read_text("utf-8"))
    # Without constraints of ours the service adds those of its Airflow, which may hold other pins.
    # Airflow and its providers are its own affair.
    rest = [f"{name}=={version}" for name, version in pins.items() if not name.startswith("apache-airflow")]
    (out / "dags" / CONSTRAINTS).write_text("\n".join(rest) + "\n")
    needed = [f"{name}{'[glue]' if name == 'pyiceberg' else ''}=={pins[name]}" for name in NEEDED]
    constraint = f'--constraint "/usr/local/airflow/dags/{CONSTRAINTS}"'
    (out / "requirements.txt").write_text("\n".join([constraint, *needed]) + "\n")


def _plugins() -> Iterator[tuple[Path, str]]:
    """Give the files of plugins.zip with their names in it: plugins/, and spark_jobs/ inside."""
    for folder, inside in ((ROOT / "plugins", ""), (ROOT / "spark_jobs", "spark_jobs/")):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path, inside + path.relative_to(folder).as_posix()


def _pins(pinned: str) -> dict[str, str]:
    """Take the versions, without hashes: the service installs them beside packages that have none."""
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[^]]*\])?==([^\s;\\]+)", pinned, re.MULTILINE))
