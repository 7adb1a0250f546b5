"""Conflict: what is said where two runs wrote to a table at once; Iceberg's own words are a trace of Java."""

import re

# Of org.apache.iceberg.exceptions, anywhere in what Py4J or Spark makes of it.
_CONFLICTS = re.compile(r"CommitFailedException|ValidationException: (Found (new )?conflicting|Missing required files)")
SAID = (
    "Another run wrote to the same table of the lake meanwhile, and this one left it as it was. Nothing is lost: the "
    "next try does it again, on what is there then. Who works on a lake in S3, its lease.json says."
)


def conflict(error: BaseException) -> str | None:
    """Say it in a sentence, or None where an error is another one."""
    return SAID if _CONFLICTS.search(str(error)) else None
