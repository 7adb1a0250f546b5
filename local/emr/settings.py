"""How the server was started."""

import os
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Settings:
    """What the command line says, see ``python -m local.emr --help``.

    Raises
    ------
    ValueError
        When a value makes no sense.
    """

    data: Path  # state, work folders and logs
    s3_endpoint: str | None = None  # None: AWS's own S3, or what AWS_ENDPOINT_URL says
    iam_endpoint: str | None = None  # None: everybody may everything
    region: str = "eu-west-1"
    slots: int = field(default_factory=lambda: os.cpu_count() or 1)  # N of Spark's local[N]
    jars: Path | None = None  # a folder of jars for Spark's class path
    start_delay: float = 0.5  # seconds of STARTING, minutes on EMR
    stop_delay: float = 0.0  # seconds of TERMINATING, likewise
    log_delay: float = 0.0  # seconds until a step's logs are under LogUri, up to five minutes on EMR
    idle_speed: float = 1.0  # how many seconds of an idle time-out pass in one
    throttle: float = 0.0  # the share of calls that get a ThrottlingException
    seed: int = 0  # of what is random
    host: str = "127.0.0.1"
    history_port: int = 0  # of Spark's history server; 0: any that is free

    def __post_init__(self) -> None:
        for name in ("start_delay", "stop_delay", "log_delay"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name.replace('_', '-')} is {getattr(self, name)}, expected 0 or more seconds")
        if self.slots < 1:
            raise ValueError(f"slots is {self.slots}, expected 1 or more")
        if self.idle_speed <= 0:
            raise ValueError(f"idle-speed is {self.idle_speed}, expected more than 0")
        if not 0 <= self.throttle <= 1:
            raise ValueError(f"throttle is {self.throttle}, expected a share between 0 and 1")
        if self.jars is not None and not self.jars.is_dir():
            raise ValueError(f"jars-dir is {self.jars}, which is no folder")
