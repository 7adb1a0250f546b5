"""The pages' Python runs as it stands, on a lake of this machine; what they link to is there."""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from infra.__main__ import COMMANDS as OF_INFRA
from local import docs
from orchard.__main__ import COMMANDS as OF_ORCHARD
from orchard.lake.tables import open_catalog, replace_run
from tests import tables

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("*/README.md")])
RUN = {"extractor_id": "the-old-one", "run_id": "day-1"}


def test_operations(tmp_path: Path) -> None:
    """Every block after another, as somebody would paste them; the last deletes the old extractor's rows."""
    catalog = open_catalog(str(tmp_path))
    tables.fill(
        catalog, "rejects", [{"uri": "a", "reason": "empty file", **RUN}, {"uri": "b", "reason": "too small", **RUN}]
    )
    tables.fill(catalog, "embeddings", [{"uri": "c", **RUN}, {"uri": "d", "extractor_id": "new", "run_id": "day-2"}])
    tables.fill(catalog, "coordinates", [{"uri": "c", "basis_id": "1", **RUN}])
    replace_run(catalog, "orchard", {**RUN, "ended_at": datetime.now(UTC)})
    page = (REPOSITORY / "docs" / "operations.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 4
    code = "\n".join(blocks).replace("s3://fruits/lake", str(tmp_path)).replace("orchard_prod", "orchard")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "plugins")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"empty file\s+1", done.stdout), done.stdout
    left = {name: catalog.load_table(("orchard", name)).scan().to_arrow() for name in ("rejects", "embeddings", "runs")}
    assert {name: table["extractor_id"].to_pylist() for name, table in left.items()} == {
        "rejects": [],
        "embeddings": ["new"],
        "runs": ["the-old-one"],
    }


def test_what_is_made_from_the_code_is_as_the_code_is() -> None:
    made = docs.made()
    assert {path.name for path in made} == {"dag.md", "settings.schema.json"}
    stale = [path.name for path, text in made.items() if path.read_text("utf-8") != text]
    assert not stale, f"docs/{', '.join(stale)}: stale; `make docs` makes it anew."


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    lost = [one for one in links if not one.startswith(("http://", "https://")) and not (page.parent / one).exists()]
    assert lost == []


def commands() -> dict[str, str]:
    """Read docs/commands.md: by command, all that its row says."""
    page = (REPOSITORY / "docs" / "commands.md").read_text("utf-8")
    return dict(re.findall(r"^\| `([^`]+)` (\| .+) \|$", page, re.MULTILINE))


def test_all_targets_are_on_the_page_of_commands_in_the_words_of_make_help() -> None:
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    targets = re.findall(r"^([a-z0-9-]+):.*## ([^;\n]+)(.*)$", makefile, re.MULTILINE)
    assert {"setup", "test", "deploy"} <= {target for target, _, _ in targets}
    rows = commands()
    for target, words, options in targets:
        assert rows[f"make {target}"].startswith(f"| {words} |"), target
        for option in re.findall(r"\b[A-Z]+=", options):
            assert f"`{option}" in rows[f"make {target}"], f"make {target} {option}"


def test_all_commands_are_on_the_page_of_commands() -> None:
    rows = commands()
    for name, words in OF_ORCHARD.items():
        assert rows[f"python -m orchard {name}"].startswith(f"| {words.partition(';')[0]} |"), name
    page = (REPOSITORY / "docs" / "commands.md").read_text("utf-8").replace("\n", " ")
    assert [name for name in OF_INFRA if f"python -m infra {name}" not in page] == []
    jobs = [path.stem for path in (REPOSITORY / "spark_jobs").glob("*.py") if path.stem != "__init__"]
    assert len(jobs) >= 6
    assert [job for job in jobs if not re.search(rf"`[^`]*\b{job}\b", page)] == []


# Rows of the page, and the modules whose `main` they tell of.
OPTIONS = {
    "python -m spark_jobs.run_local PHOTOS --lake DIR": "spark_jobs.run_local",
    "python -m spark_jobs.recognise PHOTO... --lake DIR": "spark_jobs.recognise",
    "python -m spark_jobs.move_lake LAKE": "spark_jobs.move_lake",
    "python -m spark_jobs.choose_extractor PHOTOS NAME...": "spark_jobs.choose_extractor",
    "python -m spark_jobs.augment_photos PHOTOS OUT": "spark_jobs.augment_photos",
    "python -m spark_jobs.export_extractor NAME --out DIR": "spark_jobs.export_extractor",
    "python -m local.sample_photos DIR": "local.sample_photos",
    "python -m local.scenes": "local.scenes",
    "python -m local": "local.stack",
    "python -m infra mwaa": "infra.mwaa",
    **{f"python -m orchard {name}": f"orchard.commands.{name}" for name in OF_ORCHARD},
    "spark-submit ... extract_embeddings.py": "spark_jobs.extract_embeddings",
    "spark-submit ... reduce_embeddings.py": "spark_jobs.reduce_embeddings",
    "spark-submit ... maintain_tables.py": "spark_jobs.maintain_tables",
    "python -m benchmarks.discovery": "benchmarks.discovery",
    "python -m benchmarks.networks": "benchmarks.networks",
    "python -m benchmarks.near_twins PHOTOS": "benchmarks.near_twins",
    "python -m benchmarks.answers PHOTOS": "benchmarks.answers",
    "python -m benchmarks.augmented": "benchmarks.augmented",
    "python -m benchmarks.years": "benchmarks.years",
    "python -m benchmarks.scenes LEARN": "benchmarks.scenes",
    "make bench": "benchmarks.__main__",
    "make accuracy": "benchmarks.accuracy",
    "python -m benchmarks.preprocessing": "benchmarks.preprocessing",
    "make screenshots": "local.screenshots",
}


class ParserError(Exception):
    """What a command would have read its options with."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def options(main: Callable[[list[str]], Any], monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the options of a command, by stopping it where it would read them."""

    def stop(parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        raise ParserError(parser)

    with monkeypatch.context() as patched, pytest.raises(ParserError) as stopped:
        patched.setattr(argparse.ArgumentParser, "parse_known_args", stop)
        main([])
    found = {option for action in stopped.value.parser._actions for option in action.option_strings}
    return found - {"-h", "--help"}


@pytest.mark.parametrize(("row", "module"), OPTIONS.items())
def test_all_options_are_on_the_page_of_commands(row: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no other is."""
    page = (REPOSITORY / "docs" / "commands.md").read_text("utf-8")
    told = row + commands()[row]
    if "#the-options-of-step-2" in told:
        told += page.partition("### The options of step 2")[2].partition("## ")[0]
    if row.startswith("spark-submit"):
        told += page.partition("What a cluster is given as its steps; all of them take")[2].partition("|")[0]
    assert set(re.findall(r"--[a-z][a-z0-9-]*", told)) == options(import_module(module).main, monkeypatch)


def test_every_command_of_the_page_is_held_to_its_options() -> None:
    """But for `local.emr`, whose page is held to them by tests/local/emr/test_docs.py."""
    told = {row for row in commands() if row.startswith(("python", "spark-submit"))}
    assert told - {"python -m local.emr"} == {row for row in OPTIONS if not row.startswith("make")}


def test_the_house_is_drawn_with_all_its_rooms() -> None:
    page = (REPOSITORY / "docs" / "design.md").read_text("utf-8")
    lines = re.findall(r"^[\d ] {2}(.+?)  ", page.partition("## The house")[2].split("```")[1], re.MULTILINE)
    rooms = [
        f"{path.name}/" if path.is_dir() else path.stem
        for house in ("plugins/orchard", "spark_jobs")
        for path in (REPOSITORY / house).iterdir()
        if not path.name.startswith("_") and (path.is_dir() or path.suffix == ".py")
    ]
    assert sorted(room for line in lines for room in line.split(", ")) == sorted(rooms)
