"""Docs: what the pages say of the code, made from it: ``make docs`` writes it; a test says when it is stale."""

import json
from pathlib import Path

from orchard.commands.settings import schema
from orchard.mistakes import expected, shown

FOLDER = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- `make docs` makes this table from plugins/orchard/settings.py -->\n", "<!-- the table ends -->\n"


def made() -> dict[Path, str]:
    """Make the files as they should be."""
    page = FOLDER / "dag.md"
    return {
        page: between(page, BEGIN, table()),
        FOLDER / "settings.schema.json": json.dumps(schema(), indent=2) + "\n",
    }


def between(page: Path, begin: str, table: str) -> str:
    """Give a page's text with another table behind the line `begin`, up to the next line `END`."""
    before, found, rest = page.read_text("utf-8").partition(begin)
    _, ends, after = rest.partition(END)
    if not found or not ends:
        raise ValueError(f"{page}: expected the lines {begin!r} and {END!r} around a table.")
    return f"{before}{begin}{table}{END}{after}"


def table() -> str:
    """List the settings, for people."""
    lines = ["| setting | default | takes | |", "|---|---|---|---|"]
    for name, one in schema()["properties"].items():
        if name != "$schema":
            default = one.get("default", "")
            known = "none" if default in (None, [], {}) else f"`{shown(default)}`" if default != "" else "must be given"
            lines.append(f"| `{name}` | {known} | {expected(one)} | {one['description']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for file, text in made().items():
        file.write_text(text, "utf-8")
