"""What is known of a cluster, as it is kept on disk: plain values, times in seconds since 1970."""

import random
import string
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

LIVE = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")
OVER = ("TERMINATED", "TERMINATED_WITH_ERRORS")
ACTIVE_STEPS = ("PENDING", "CANCEL_PENDING", "RUNNING")


def new_id(kind: str, size: int = 13) -> str:
    """Make an id as EMR does: ``j-1K48XXXXXXHCB``."""
    return f"{kind}-{''.join(random.choices(string.ascii_uppercase + string.digits, k=size))}"


@dataclass
class Step:
    """One step.

    Attributes
    ----------
    request : dict
        The StepConfig as it came.
    failure : dict
        FailureDetails, once it failed.
    """

    id: str
    request: dict[str, Any]
    role: str | None = None
    state: str = "PENDING"
    message: str = ""
    failure: dict[str, str] = field(default_factory=dict)
    created: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None

    @property
    def name(self) -> str:
        return str(self.request["Name"])

    @property
    def action(self) -> str:
        """What to do when it fails; EMR's default is the harshest."""
        return str(self.request.get("ActionOnFailure", "TERMINATE_CLUSTER"))

    @property
    def active(self) -> bool:
        return self.state in ACTIVE_STEPS


@dataclass
class Instance:
    """A machine that a real EMR would have rented; here only its name."""

    id: str
    pool: str
    type: str
    market: str
    created: float = field(default_factory=time.time)
    ended: float | None = None


@dataclass
class Pool:
    """An instance group or an instance fleet.

    Attributes
    ----------
    request : dict
        The InstanceGroupConfig or InstanceFleetConfig as it came.
    """

    id: str
    role: str
    request: dict[str, Any]

    @property
    def is_fleet(self) -> bool:
        return self.id.startswith("if-")


@dataclass
class Cluster:
    """One cluster, with all that happened to it.

    Attributes
    ----------
    request : dict
        RunJobFlow's request as it came; what later calls change has a field of its own.
    waiting_since : float or None
        Since when it is idle.
    """

    id: str
    request: dict[str, Any]
    state: str = "STARTING"
    code: str | None = None
    message: str = ""
    created: float = field(default_factory=time.time)
    ready: float | None = None
    ended: float | None = None
    waiting_since: float | None = None
    keep_alive: bool = False
    protected: bool = False
    visible: bool = True
    replace_unhealthy: bool = False
    concurrency: int = 1
    auto_termination: dict[str, Any] | None = None
    scaling: dict[str, Any] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    pools: list[Pool] = field(default_factory=list)
    instances: list[Instance] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.request["Name"])

    @property
    def live(self) -> bool:
        return self.state in LIVE

    @property
    def log_uri(self) -> str | None:
        """Where its logs go, without the slash at the end."""
        uri = self.request.get("LogUri")
        return f"{uri.rstrip('/')}/{self.id}" if uri else None

    @property
    def master(self) -> Instance:
        """Its first node."""
        (pool,) = (pool for pool in self.pools if pool.role == "MASTER")
        return next(instance for instance in self.instances if instance.pool == pool.id)

    def step(self, step_id: str) -> Step | None:
        return next((step for step in self.steps if step.id == step_id), None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Cluster":
        parts: Sequence[tuple[str, type]] = (("steps", Step), ("pools", Pool), ("instances", Instance))
        return cls(**kept | {name: [of(**each) for each in kept[name]] for name, of in parts})
