"""Machine types: which types of EC2 instance EMR may take, and what some are."""

import functools
import re
from typing import Any

from botocore.loaders import Loader

# A family's GiB a vCPU, its architecture, and whether it has disks of its own: those that are described.
_FAMILIES: dict[str, tuple[int, str, bool]] = {
    **dict.fromkeys(("m5", "m5a", "m6a", "m6i", "m7a", "m7i"), (4, "X86_64", False)),
    "m5d": (4, "X86_64", True),
    **dict.fromkeys(("m6g", "m7g", "m8g"), (4, "AARCH64", False)),
    **dict.fromkeys(("c5", "c6a", "c6i", "c7a", "c7i"), (2, "X86_64", False)),
    **dict.fromkeys(("c6g", "c7g", "c8g"), (2, "AARCH64", False)),
    **dict.fromkeys(("r5", "r6i", "r7i"), (8, "X86_64", False)),
    **dict.fromkeys(("r6g", "r7g", "r8g"), (8, "AARCH64", False)),
}


# Burstable machines and Macs: https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-supported-instance-types.html
# names none of these families for any release. Of others EMR lacks some, which is not known here.
_NEVER = re.compile(r"(t[0-9]|mac)")


@functools.cache
def all_types() -> frozenset[str]:
    """Name all that EC2 has, by the service model that botocore ships, but those that EMR has in no release."""
    names = Loader().load_service_model("ec2", "service-2")["shapes"]["InstanceType"]["enum"]
    return frozenset(name for name in names if not _NEVER.match(name))


def described() -> list[dict[str, Any]]:
    """Describe types as ListSupportedInstanceTypes does; all of these run on both lines of EMR's releases."""
    return [
        _described(f"{family}.{size}", vcpus)
        for family in _FAMILIES
        for size, vcpus in (("xlarge", 4), ("2xlarge", 8), ("4xlarge", 16), ("8xlarge", 32), ("9xlarge", 36))
        if f"{family}.{size}" in all_types()
    ]


def _described(name: str, vcpus: int) -> dict[str, Any]:
    family = name.partition(".")[0]
    gib, architecture, disks = _FAMILIES[family]
    return {
        "Type": name,
        "MemoryGB": float(vcpus * gib),
        "StorageGB": vcpus * 150 // 4 if disks else 0,
        "VCPU": vcpus,
        "Is64BitsOnly": True,
        "InstanceFamilyId": family,
        "EbsOptimizedAvailable": True,
        "EbsOptimizedByDefault": True,
        "NumberOfDisks": (1 if vcpus <= 8 else 2) if disks else 0,
        "EbsStorageOnly": not disks,
        "Architecture": architecture,
    }
