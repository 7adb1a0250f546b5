"""Live reload of plugins/: what Airflow forks to parse a DAG file or to run a task imports Orchard's modules anew.

Without it a fork has the modules that its long-lived parent loaded with the plugin. Airflow imports this file when it
starts; only docker-compose.yaml mounts it, and a deployment restarts Airflow instead.
"""

import os
import sys


def forget() -> None:
    """Let the next import of Orchard's modules read their files."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "orchard"]:
        del sys.modules[name]


os.register_at_fork(after_in_child=forget)
