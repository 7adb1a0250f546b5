"""Instances: the types of EC2 machine that are offered, with what a cluster's plan and configuration follow from.

Offered are general families without GPU that EMR 7.14 and Spark 8.1 both run, in sizes that suit one Python worker a
vCPU. Left out on purpose: sizes with less than 8 GiB (YARN's and EMR's own daemons want some), burstable ones, and
machines with accelerators.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

# From AWS' pages of instance types and "Supported instance types with Amazon EMR"
# (https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-supported-instance-types.html).
AS_OF = "2026-11"
X86, ARM = "x86_64", "aarch64"


class Instance(NamedTuple):
    """One type: its vCPUs, memory and architecture, as ``uname -m`` says it."""

    vcpus: int
    gib: int
    architecture: str


# A family's GiB a vCPU, architecture, and the sizes that it comes in beside xlarge, 2xlarge, 4xlarge and 8xlarge.
_FAMILIES: Mapping[str, tuple[int, str]] = {
    **dict.fromkeys(("m5", "m5a", "m5d", "m6a", "m6i", "m7a", "m7i"), (4, X86)),
    **dict.fromkeys(("m6g", "m7g", "m8g"), (4, ARM)),
    **dict.fromkeys(("c5", "c6a", "c6i", "c7a", "c7i"), (2, X86)),
    **dict.fromkeys(("c6g", "c7g", "c8g"), (2, ARM)),
    **dict.fromkeys(("r5", "r6i", "r7i"), (8, X86)),
    **dict.fromkeys(("r6g", "r7g", "r8g"), (8, ARM)),
}
_SIZES = {"xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32}


def _types() -> dict[str, Instance]:
    types = {
        f"{family}.{size}": Instance(vcpus, vcpus * each, architecture)
        for family, (each, architecture) in _FAMILIES.items()
        for size, vcpus in _SIZES.items()
    }
    del types["c5.8xlarge"]  # which comes as 9xlarge instead
    return types | {"c5.9xlarge": Instance(36, 72, X86)}


INSTANCES: Mapping[str, Instance] = MappingProxyType(_types())
