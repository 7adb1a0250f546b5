"""Releases: what EMR's releases hold, as far as it is known here."""

from collections.abc import Iterable, Mapping
from typing import Any

# The two that Orchard knows: the current one, and the long-lived one with Spark 4.
RELEASES = {
    "emr-7.14.0": {"Hadoop": "3.4.1", "Iceberg": "1.10.1", "Spark": "3.5.8"},
    "emr-spark-8.1.0": {"Iceberg": "1.11.0", "Spark": "4.1.1"},
}
UNKNOWN = "0.0.0"  # clients take versions apart: it has to look like one
OS = "2023.6.20241212.0"  # a release of Amazon Linux, for what was not asked for in one
ROOT_GIB = 15  # of the root volume, likewise: EMR's own since 6.10


def applications(label: str, asked: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Describe a cluster's applications, each with its version, as EMR always does.

    A release that is not known holds what the one of its line does; EMR takes names in small letters, too.
    """
    line = "emr-spark-8.1.0" if label.startswith("emr-spark-") else "emr-7.14.0"
    known = {name.lower(): (name, version) for name, version in RELEASES.get(label, RELEASES[line]).items()}
    found = []
    for app in asked:
        name, version = known.get(app.get("Name", "").lower(), (app.get("Name"), UNKNOWN))
        rest = {key: app[key] for key in ("Args", "AdditionalInfo") if key in app}
        found.append({"Name": name, "Version": app.get("Version", version)} | rest)
    return found
