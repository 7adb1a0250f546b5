"""Instances: the types of EC2 machine that are offered, with what a cluster's plan and configuration follow from.

Offered are families without accelerators that EMR runs from releases 7.14 and Spark 8.0 on, in sizes of 4 vCPUs and
more: smaller ones have too little memory beside YARN's and HDFS's daemons. All vCPUs come in fours, as executors do.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

# vCPUs and memory, as of 2026, from AWS' pages of instance types (https://aws.amazon.com/ec2/instance-types/); that EMR
# runs them, from its answers to ListSupportedInstanceTypes for emr-7.14.0 and emr-spark-8.0.0, as getmoto/moto keeps
# them (moto/emr/resources/instance-types-*.json, commits 0e0e3b54 and 6e6f96bc).
X86, ARM = "x86_64", "aarch64"


class Instance(NamedTuple):
    """One type: its vCPUs, memory and architecture, as ``uname -m`` says it."""

    vcpus: int
    gib: int
    architecture: str


# A family's GiB a vCPU, and its architecture.
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
