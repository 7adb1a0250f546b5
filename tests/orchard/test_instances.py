import re

import pytest

from orchard.instances import INSTANCES


@pytest.mark.parametrize(
    ("name", "instance"),
    [
        ("m5.xlarge", (4, 16, "x86_64")),
        ("m5.8xlarge", (32, 128, "x86_64")),
        ("m7i.4xlarge", (16, 64, "x86_64")),
        ("m7g.2xlarge", (8, 32, "aarch64")),
        ("m8g.xlarge", (4, 16, "aarch64")),
        ("c5.xlarge", (4, 8, "x86_64")),
        ("c5.9xlarge", (36, 72, "x86_64")),
        ("c7g.8xlarge", (32, 64, "aarch64")),
        ("r5.2xlarge", (8, 64, "x86_64")),
        ("r6g.xlarge", (4, 32, "aarch64")),
    ],
)
def test_as_aws_lists_them(name: str, instance: tuple[int, int, str]) -> None:
    assert tuple(INSTANCES[name]) == instance


def test_what_there_is_not() -> None:
    assert "c5.8xlarge" not in INSTANCES
    assert "m5.large" not in INSTANCES


def test_graviton_is_what_has_a_g_after_its_generation() -> None:
    graviton = {name for name, instance in INSTANCES.items() if instance.architecture == "aarch64"}
    assert graviton == {name for name in INSTANCES if re.match(r"[a-z]\dg", name)}


def test_executors_of_four_cores_fill_every_node() -> None:
    assert not [name for name, instance in INSTANCES.items() if instance.vcpus % 4]
