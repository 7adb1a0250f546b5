"""Settings: all that is wrong with a file of them, and their JSON schema, for editors; nothing is asked of anybody."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchard.cluster.emr_rules import release_label
from orchard.commands import command_settings
from orchard.settings import Settings, SettingsError


def main(argv: Sequence[str]) -> int:
    """Check a file, or print the schema; return 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m orchard settings", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", type=Path, metavar="FILE", help="JSON of the settings, as the variable holds them")
    what.add_argument("--schema", action="store_true", help="what the variable may hold")
    options = parser.parse_args(argv)
    if options.schema:
        print(json.dumps(schema(), indent=2))
        return 0
    try:
        found = command_settings.of_file(options.check)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    for unknown in release_label({"ReleaseLabel": found.release}):
        print(f"{options.check}: warning: the release is unknown. {unknown}: a run would stop at it.", file=sys.stderr)
    print(f"{options.check}: nothing is wrong with these settings, of the lake {found.root}.")
    return 0


def schema() -> dict[str, Any]:
    """Make the schema; what one setting asks of another is not all in it."""
    made = Settings.model_json_schema()
    for one in made["properties"].values():
        del one["title"]  # the name once more
    made["properties"]["$schema"] = {"description": "where this schema is, for editors", "type": "string"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}
