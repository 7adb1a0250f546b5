"""What all clusters share."""

import logging
from dataclasses import dataclass

from local.emr.command import Commands
from local.emr.faults import Faults
from local.emr.s3 import S3
from local.emr.settings import Settings
from local.emr.store import Store


@dataclass(frozen=True)
class House:
    """The server's settings, its folder, its S3, and what is to go wrong."""

    settings: Settings
    store: Store
    s3: S3
    commands: Commands
    faults: Faults
    log: logging.Logger

    @classmethod
    def build(cls, settings: Settings) -> "House":
        store, s3 = Store(settings.data), S3(settings.s3_endpoint, settings.region)
        faults = Faults(settings.seed, settings.throttle)
        return cls(settings, store, s3, Commands(settings, store, s3), faults, logging.getLogger("local.emr"))
