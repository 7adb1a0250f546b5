"""Parse DAG files as Airflow's DAG processor does, and write down what they did: ``parse_alone.py FOLDER FILE...``.

It loads what the processor has loaded before it comes to a file, and parses each file in a fork, as the processor does.
The answers are in the folder, a JSON file a DAG file.
"""

import gc
import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import airflow.dag_processing.processor
import airflow.models.connection
import airflow.models.variable
import airflow.sdk.execution_time.context as context

from tests.airflow_versions import DagBag, DagSerialization

NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
OTHERS = ("sqlite3.connect", "subprocess.Popen", "os.system", "os.posix_spawn")
PLACE = ("relative_fileloc", "_processor_dags_folder")


def parse(file: str) -> dict[str, Any]:
    """Parse a file in a process where nothing may be asked of anybody."""
    deeds: list[str] = []
    watching = True

    def refuse(event: str, args: tuple[Any, ...]) -> None:
        if watching and event in NETWORK + OTHERS:
            deeds.append(event)
            raise PermissionError(f"{event} while a DAG is parsed: {args}")

    def refused(name: str) -> Any:
        def get(*args: Any, **_: Any) -> None:
            deeds.append(name)
            raise PermissionError(f"{name} while a DAG is parsed: {args}")

        return get

    context._get_variable = refused("variable")
    context._get_connection = refused("connection")
    airflow.models.variable.Variable.get = refused("variable")  # type: ignore[method-assign]
    airflow.models.connection.Connection.get_connection_from_secrets = refused("connection")  # type: ignore[method-assign]
    sys.addaudithook(refuse)
    warnings.simplefilter("error")
    started = time.process_time()
    bag = DagBag(file)
    seconds = time.process_time() - started
    watching = False
    packages = sorted({name.partition(".")[0] for name in sys.modules})
    clients = [one for one in gc.get_objects() if any(kind.__name__ == "BaseClient" for kind in type(one).__mro__)]
    warnings.simplefilter("default")  # plugins are loaded now, by Airflow's own reading of .airflowignore
    kept = [DagSerialization.to_dict(dag)["dag"] for dag in bag.dags.values()]
    return {
        "dags": sorted(bag.dags),
        "errors": list(bag.import_errors.values()),
        "warnings": [line for lines in bag.captured_warnings.values() for line in lines],
        "seconds": seconds,
        "deeds": deeds,
        "clients": len(clients),
        "packages": packages,
        "serialized": {name: value for one in kept for name, value in one.items() if name not in PLACE},
    }


def main(folder: str, *files: str) -> None:
    for file in files:
        child = os.fork()
        if not child:
            Path(folder, f"{Path(file).stem}.json").write_text(json.dumps(parse(file)))
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
