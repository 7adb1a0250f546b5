"""Spark's configuration of a cluster, computed from its instance types; what a job sets by itself is not here.

EMR's ``maximizeResourceAllocation`` is not used: it gives a node's memory to the JVM, and here the memory is wanted
beside it, by the Python workers. The catalog of the lake is the jobs' own affair (``spark_jobs/tables/location.py``):
only what must be there when a JVM starts is in the classifications. Java is the releases' own, 17 in both lines.
"""

from dataclasses import dataclass
from typing import Any

from orchard.instances import INSTANCES, Instance
from orchard.plan import Plan
from orchard.settings import Settings, SettingsError

CORES = 4  # of an executor, which suits nodes of every size; one task, one Python worker, one inference thread a core
AM_MIB = 512 + 384  # YARN's container for Spark's application master, on one of the core nodes
_HEAP = 0.3  # of an executor's memory: the JVM only moves keys and embeddings, and writes Parquet
_JVM_MIB = 512  # that the JVM takes beside its heap: code, threads, Netty's and Arrow's buffers
# A Python worker with its engine and the photos that it reads ahead: measured 270 MB (OpenVINO) and 1.3 GB
# (TensorFlow), benchmarks/README.md; the rest is for large photos.
PYTHON_MIB = {"openvino": 700, "tensorflow": 1500}


@dataclass(frozen=True)
class Executor:
    """The memory of an executor of `CORES` cores, in MiB: its JVM's heap, and what its Python workers share."""

    heap: int
    overhead: int

    @property
    def each_worker(self) -> int:
        """What one Python worker may take."""
        return (self.overhead - _JVM_MIB) // CORES


def yarn_mib(gib: float) -> int:
    """Return the memory that a node's containers share, in MiB: what EMR gives YARN by itself.

    A quarter of the memory is kept for the system and Hadoop's daemons, no less than 2 GiB and no more than 8: so are
    the values in EMR's table "Task configuration"
    (https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-hadoop-task-config.html).
    """
    total = 1024 * gib
    return int(total - min(8192, max(2048, total / 4)))


def executor(types: tuple[str, ...], engine: str) -> Executor:
    """Divide a node's memory among executors, so that they fit on a node of any of these types.

    Raises
    ------
    SettingsError
        The types have too little memory a vCPU for the engine.
    """
    shares = {one: yarn_mib(node.gib) * CORES // node.vcpus for one, node in _nodes(types).items()}
    least = min(shares, key=lambda one: shares[one])
    total = shares[least] - AM_MIB
    heap = int(total * _HEAP)
    made = Executor(heap, total - heap)
    if made.each_worker < PYTHON_MIB[engine]:
        raise SettingsError(
            f"Instance type {least}: it leaves {made.each_worker:,} MiB to each Python worker, and engine {engine} "
            f"wants {PYTHON_MIB[engine]:,}. Take a type with more memory a vCPU, such as of m5, m7g or r5."
        )
    return made


def driver_mib(types: tuple[str, ...]) -> int:
    """Return the heap of the driver, in MiB; it runs on the primary node, beside Hadoop's masters and its Python."""
    return min(8192, min(256 * node.gib for node in _nodes(types).values()))


def of_nodes(instance_type: str) -> list[dict[str, Any]]:
    """Build what differs by instance type.

    It is what EMR would choose: said outright, since an executor that wants more than a node has never comes.
    """
    memory = str(yarn_mib(INSTANCES[instance_type].gib))
    return [_classification("yarn-site", {"yarn.nodemanager.resource.memory-mb": memory})]


def configurations(settings: Settings, plan: Plan) -> list[dict[str, Any]]:
    """Build the cluster's configuration of Iceberg, YARN and Spark."""
    made = executor(plan.instance_types, plan.engine)
    environment = {"AWS_REGION": plan.region, "AWS_DEFAULT_REGION": plan.region}
    spark = {
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        # The cluster is this run's alone, and its size was chosen for it. The jobs share their photos out by the number
        # of cores, of which Spark knows only those of executors that have come: so all are waited for.
        "spark.dynamicAllocation.enabled": "false",
        "spark.executor.instances": str(plan.vcpus // CORES),
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
        "spark.scheduler.maxRegisteredResourcesWaitingTime": "120s",
        "spark.executor.cores": str(CORES),
        "spark.executor.memory": f"{made.heap}m",
        "spark.executor.memoryOverhead": f"{made.overhead}m",
        "spark.driver.memory": f"{driver_mib(plan.instance_types)}m",
        "spark.yarn.am.memory": "512m",
        "spark.yarn.am.memoryOverhead": "384m",
        # Neither boto3 nor Iceberg finds the region of an EC2 machine by itself.
        **{f"spark.executorEnv.{name}": value for name, value in environment.items()},
    }
    if python := settings.interpreter:
        environment["PYSPARK_PYTHON"] = python
        spark |= {"spark.pyspark.python": python, "spark.pyspark.driver.python": python}
    return [
        _classification("iceberg-defaults", {"iceberg.enabled": "true"}),
        # By memory alone, Hadoop's default: by cores, too, an executor of all of a node's would leave none for Spark's
        # application master, and a cluster of one node would wait for ever.
        _classification(
            "capacity-scheduler",
            {
                "yarn.scheduler.capacity.resource-calculator": (
                    "org.apache.hadoop.yarn.util.resource.DefaultResourceCalculator"
                )
            },
        ),
        _classification("spark-defaults", spark),
        {
            "Classification": "spark-env",
            "Properties": {},
            "Configurations": [_classification("export", environment)],  # of spark-submit, and so of the driver
        },
    ]


def _nodes(types: tuple[str, ...]) -> dict[str, Instance]:
    return {one: INSTANCES[one] for one in types}


def _classification(name: str, properties: dict[str, str]) -> dict[str, Any]:
    return {"Classification": name, "Properties": properties}
