"""What a step said last is found in its logs."""

from pathlib import Path

import pytest

from local.emr.logs import Logs

PYTHON = """2026-11-21 12:00:00,000 WARN x: y
Traceback (most recent call last):
  File "job.py", line 1, in <module>
    raise ValueError("no bananas")
own.errors.FruitError: no bananas
"""
JAVA = """py4j.protocol.Py4JJavaError: An error occurred while calling None.org.apache.spark.api.java.JavaSparkContext.
: java.lang.IllegalArgumentException: System memory 300 must be at least 471859200.
\tat org.apache.spark.memory.UnifiedMemoryManager$.getMaxMemory(UnifiedMemoryManager.scala:219)

"""


@pytest.mark.parametrize(
    ("stdout", "stderr", "words"),
    [
        ("", "", ""),
        ("fine\n", "", "fine"),
        ("fine\n", "oh no\n", "oh no"),
        (PYTHON, "2026-11-21 12:00:00,000 WARN x: y\n", "own.errors.FruitError: no bananas"),
        ("fine\n", PYTHON, "own.errors.FruitError: no bananas"),
        (JAVA, "", "java.lang.IllegalArgumentException: System memory 300 must be at least 471859200."),
        ("", "2026-11-21 12:00:00,000 WARN x: y\n", "2026-11-21 12:00:00,000 WARN x: y"),
        ("KeyError\n" + "x\n" * 9000, "", "x"),
    ],
)
def test_last_words(stdout: str, stderr: str, words: str, tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    logs["stdout"].write_text(stdout)
    logs["stderr"].write_text(stderr)
    assert logs.last_words() == words
