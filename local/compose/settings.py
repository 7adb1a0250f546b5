"""Bring what docker-compose's Airflow needs to run the pipeline: photos, an extractor, and the settings that name them.

Once: a lake that is there already is the user's.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from local.prepare import prepare

VARIABLE = "orchard"


def given_photos(folder: Path) -> Path | None:
    """Return the folder where it holds anything; an empty one says that none was given."""
    return folder if folder.is_dir() and any(folder.iterdir()) else None


def given_weights(folder: Path) -> str | None:
    """Return the one file of weights in a folder, or None where there is none.

    Raises
    ------
    SystemExit
        There are several.
    """
    found = sorted(str(path) for path in folder.glob("*") if path.suffix in (".h5", ".keras"))
    if len(found) > 1:
        raise SystemExit(f"ORCHARD_WEIGHTS: expected a folder with one file of weights, got {', '.join(found)}.")
    return found[0] if found else None


def main(argv: Sequence[str] | None = None) -> None:
    """Prepare the AWS that the environment names, and write the settings as Airflow imports variables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", type=Path, help="file to write")
    parser.add_argument("--photos", type=Path, required=True, help="folder of photos; empty: sample photos")
    parser.add_argument("--weights", type=Path, required=True, help="folder with one file of weights, or empty")
    parser.add_argument("--console", required=True, help="where people look at clusters")
    args = parser.parse_args(argv)
    if args.settings.exists():
        print(f"{args.settings} is there: photos and extractor are left as they are.")
        return
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(Path(folder), given_photos(args.photos), given_weights(args.weights))
    print(f"{prepared.photos} photos in s3://{prepared.bucket}, extractor {prepared.extractor_id}.")
    print(prepared.describe())
    # Whole or not at all: what is there is never written again.
    whole = args.settings.with_suffix(".new")
    whole.write_text(json.dumps({VARIABLE: prepared.settings(args.console)}, indent=2) + "\n")
    os.replace(whole, args.settings)


if __name__ == "__main__":
    main()
