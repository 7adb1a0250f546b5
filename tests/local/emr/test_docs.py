"""The page says which calls are answered, and names every option."""

import re

from local.emr.__main__ import parser
from local.emr.app import CALLS
from tests.local.emr.servers import REPOSITORY

PAGE = (REPOSITORY / "docs" / "local-emr.md").read_text()


def test_the_calls() -> None:
    table = PAGE.partition("## The calls")[2].partition("All others")[0]
    names = re.findall(r"^\| ((?:[A-Z]\w+(?:, )?)+) \|", table, re.MULTILINE)
    assert sorted(name for names in names for name in names.split(", ")) == sorted(CALLS)


def test_the_options() -> None:
    table = PAGE.partition("| option |")[2].partition("SIGTERM")[0]
    options = {option for action in parser()._actions for option in action.option_strings} - {"-h", "--help"}
    assert set(re.findall(r"`(--[a-z0-9-]+)`", table)) == options


def test_the_cli_is_told_where_this_emr_is() -> None:
    """Version 1 obeys no variable for it, and would rent at AWS."""
    pages = ("local-emr", "docker")
    text = "\n".join((REPOSITORY / "docs" / f"{page}.md").read_text() for page in pages)
    commands = [line for line in text.splitlines() if line.startswith("$ ") and re.search(r"\baws\b.* emr ", line)]
    assert len(commands) == 2
    assert all(re.search(r"\baws --endpoint-url http://\S+ ", command) for command in commands)
    assert all(name in PAGE for name in ("GATEWAY_PORT", "--start-delay", "--endpoint-url"))
