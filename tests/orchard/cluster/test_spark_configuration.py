import zipfile
from typing import Any

import pytest

from local.emr.configuration import spark_home
from orchard.cluster.spark_configuration import Executor, configurations, driver_mib, executor, of_nodes, yarn_mib
from orchard.instances import INSTANCES
from orchard.settings import SettingsError
from tests.plans import PLAN, SETTINGS, plan, settings


def properties(found: list[dict[str, Any]], name: str) -> dict[str, str]:
    (one,) = (each["Properties"] for each in found if each["Classification"] == name)
    return dict(one)


@pytest.mark.parametrize(
    ("gib", "mib"),
    [  # m4.large to m4.16xlarge, r4.xlarge, r4.2xlarge and c3.2xlarge in EMR's table
        (8, 6144),
        (16, 12288),
        (32, 24576),
        (64, 57344),
        (160, 155648),
        (256, 253952),
        (30.5, 23424),
        (61, 54272),
        (15, 11520),
    ],
)
def test_yarns_memory_is_what_emr_gives_it(gib: float, mib: int) -> None:
    assert yarn_mib(gib) == mib


def test_the_configuration_of_an_m5_xlarge_in_letters() -> None:
    chosen = settings(bootstrap="s3://bucket/lake/bootstrap/0123456789ab", region="eu-west-3")
    assert configurations(chosen, plan(region="eu-west-3")) == [
        {"Classification": "iceberg-defaults", "Properties": {"iceberg.enabled": "true"}},
        {
            "Classification": "capacity-scheduler",
            "Properties": {
                "yarn.scheduler.capacity.resource-calculator": (
                    "org.apache.hadoop.yarn.util.resource.DefaultResourceCalculator"
                )
            },
        },
        {
            "Classification": "spark-defaults",
            "Properties": {
                "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
                "spark.dynamicAllocation.enabled": "false",
                "spark.executor.instances": "2",
                "spark.scheduler.minRegisteredResourcesRatio": "1.0",
                "spark.scheduler.maxRegisteredResourcesWaitingTime": "120s",
                "spark.executor.cores": "4",
                "spark.executor.memory": "3417m",
                "spark.executor.memoryOverhead": "7975m",
                "spark.driver.memory": "4096m",
                "spark.yarn.am.memory": "512m",
                "spark.yarn.am.memoryOverhead": "384m",
                "spark.executorEnv.AWS_REGION": "eu-west-3",
                "spark.executorEnv.AWS_DEFAULT_REGION": "eu-west-3",
                "spark.pyspark.python": "/opt/orchard/bin/python",
                "spark.pyspark.driver.python": "/opt/orchard/bin/python",
            },
        },
        {
            "Classification": "spark-env",
            "Properties": {},
            "Configurations": [
                {
                    "Classification": "export",
                    "Properties": {
                        "AWS_REGION": "eu-west-3",
                        "AWS_DEFAULT_REGION": "eu-west-3",
                        "PYSPARK_PYTHON": "/opt/orchard/bin/python",
                    },
                }
            ],
        },
    ]


def test_without_a_bootstrap_the_python_is_the_releases_own() -> None:
    spark = properties(configurations(SETTINGS, PLAN), "spark-defaults")
    assert not [name for name in spark if "pyspark" in name]


@pytest.mark.parametrize(
    ("instance_type", "made", "each_worker"),
    [
        ("m5.xlarge", Executor(3417, 7975), 1865),
        ("m5.4xlarge", Executor(4032, 9408), 2224),
        ("c5.xlarge", Executor(1574, 3674), 790),
        ("r5.xlarge", Executor(7104, 16576), 4016),
    ],
)
def test_the_memory_of_executors(instance_type: str, made: Executor, each_worker: int) -> None:
    assert executor((instance_type,), "openvino") == made
    assert made.each_worker == each_worker


@pytest.mark.parametrize("instance_type", sorted(INSTANCES))
def test_a_node_has_room_for_its_executors_and_the_application_master(instance_type: str) -> None:
    """Else a cluster of one core node would wait for ever."""
    node = INSTANCES[instance_type]
    made = executor((instance_type,), "openvino")
    used = node.vcpus // 4 * (made.heap + made.overhead) + 896
    assert 0.8 * yarn_mib(node.gib) < used <= yarn_mib(node.gib)
    assert made.each_worker >= 700
    (yarn,) = of_nodes(instance_type)
    assert yarn["Properties"] == {"yarn.nodemanager.resource.memory-mb": str(yarn_mib(node.gib))}


def test_of_several_types_the_one_with_the_least_memory_decides() -> None:
    types = ("m5.2xlarge", "c5.xlarge", "r5.8xlarge")
    assert executor(types, "openvino") == executor(("c5.xlarge",), "openvino")
    assert driver_mib(types) == 2048
    assert driver_mib(("r5.8xlarge",)) == 8192


def test_too_little_memory_for_the_engine() -> None:
    with pytest.raises(SettingsError) as refused:
        configurations(SETTINGS, plan(instance_types=("c5.xlarge",), engine="tensorflow"))
    assert str(refused.value) == (
        "Instance type c5.xlarge: it leaves 790 MiB to each Python worker, and engine tensorflow wants 1,500. "
        "Take a type with more memory a vCPU, such as of m5, m7g or r5."
    )


def test_spark_knows_every_setting() -> None:
    """A misspelt one would be taken without a word: each stands in the classes that define Spark's settings."""
    jars = spark_home() / "jars"
    where = {
        "spark-core": "org/apache/spark/internal/config/",
        "spark-yarn": "org/apache/spark/deploy/yarn/config/",
        "spark-catalyst": "org/apache/spark/sql/internal/StaticSQLConf",
    }
    known = b""
    for jar, prefix in where.items():
        with zipfile.ZipFile(next(jars.glob(f"{jar}_*.jar"))) as classes:
            known += b"".join(classes.read(name) for name in classes.namelist() if name.startswith(prefix))
    chosen = settings(python="/usr/bin/python3.11")
    names = [name for name in properties(configurations(chosen, PLAN), "spark-defaults") if ".executorEnv." not in name]
    assert len(names) == 13
    assert [name for name in names if name.encode() not in known] == []
