"""Scratch: a DuckDB of its own for one comparison. It spills, so that memory is bounded whatever it compares."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

_MEMORY = "512MB"


@contextmanager
def scratch() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an empty database in a folder of its own, which goes with it."""
    with (
        tempfile.TemporaryDirectory(prefix="orchard-") as folder,
        duckdb.connect(f"{folder}/scratch.db", config={"temp_directory": folder}) as db,
    ):
        db.execute(
            f"SET memory_limit = '{_MEMORY}'; SET preserve_insertion_order = false; "
            "SET enable_progress_bar = false; "  # it goes to stdout
            "SET TimeZone = 'UTC'"  # the machine's otherwise, which Iceberg does not take
        )
        yield db
