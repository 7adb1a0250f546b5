import subprocess
import sys

import pytest


@pytest.mark.parametrize("command", ["orchard settings --schema", "orchard prices"])
def test_a_reader_that_has_enough(command: str) -> None:
    call = ("bash", "-c", f"{sys.executable} -m {command} | true; echo ${{PIPESTATUS[0]}}")
    # What fills the pipe's buffer fails when it is written, what does not when it is flushed.
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("141\n", "")


def test_a_commands_output(tmp_path: object) -> None:
    program = "from spark_jobs.running.output import end; end(lambda: print('a line') or 3)"
    call = ("bash", "-c", f'{sys.executable} -c "{program}" | true; echo ${{PIPESTATUS[0]}}')
    assert subprocess.run(call, capture_output=True, text=True, check=True).stderr == ""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "a line\n")
