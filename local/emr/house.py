"""What all clusters share."""

import logging
from dataclasses import dataclass

from local.emr.access import Access
from local.emr.command import Commands
from local.emr.faults import Faults
from local.emr.settings import Settings
from local.emr.store import Store


@dataclass(frozen=True)
class House:
    """The server's settings, its folder, who may do what, and what is to go wrong."""

    settings: Settings
    store: Store
    access: Access
    commands: Commands
    faults: Faults
    log: logging.Logger

    @classmethod
    def build(cls, settings: Settings) -> "House":
        access, store = Access(settings), Store(settings.data)
        faults = Faults(settings.seed, settings.throttle)
        return cls(settings, store, access, Commands(settings, store, access), faults, logging.getLogger("local.emr"))
