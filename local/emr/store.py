"""The data folder: a JSON file a cluster, one for the rest; a crash leaves the old one of each, or the new one."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from local.emr.state import Cluster, Step


class DataInUseError(RuntimeError):
    """Another server holds the data folder."""


class Store:
    """The folder where everything of this EMR is kept; held by one server at a time."""

    def __init__(self, data: Path) -> None:
        self.data = data.resolve()
        self.clusters = self.data / "clusters"
        self.events = self.data / "spark-events"
        for folder in (self.clusters, self.events):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.data / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise DataInUseError(
                f"Another local EMR runs on {self.data}: stop it first, or give this one a --data of its own."
            ) from None

    def close(self) -> None:
        """Let another server have the folder."""
        self._lock.close()

    def folder(self, cluster: Cluster) -> Path:
        return self.clusters / cluster.id

    def step_folder(self, cluster: Cluster, step: Step) -> Path:
        return self.folder(cluster) / "steps" / step.id

    def save(self, cluster: Cluster) -> None:
        """Keep a cluster: when this returns, a power cut does not lose it."""
        self.folder(cluster).mkdir(exist_ok=True)
        _write(self.folder(cluster) / "cluster.json", cluster.to_json())

    def save_security(self, configurations: dict[str, dict[str, Any]]) -> None:
        """Keep all security configurations, likewise."""
        _write(self._security, configurations)

    def load_security(self) -> dict[str, dict[str, Any]]:
        """Read the security configurations, by name."""
        return dict(json.loads(self._security.read_text())) if self._security.exists() else {}

    @property
    def _security(self) -> Path:
        return self.data / "security-configurations.json"

    def load(self) -> list[Cluster]:
        """Read all clusters, the oldest first.

        Raises
        ------
        RuntimeError
            When one cannot be read: nothing is thrown away unasked.
        """
        found = []
        for path in self.clusters.glob("*/cluster.json"):
            try:
                found.append(Cluster.from_json(json.loads(path.read_text())))
            except (ValueError, TypeError, KeyError) as error:
                raise RuntimeError(
                    f"{path} cannot be read ({error!r}): it was written by another version, or by hand. "
                    f"Move {path.parent} away to start without this cluster."
                ) from error
        return sorted(found, key=lambda cluster: cluster.created)


def _write(path: Path, value: Any) -> None:
    new = path.with_name(f"{path.name}.new")
    with new.open("w") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
