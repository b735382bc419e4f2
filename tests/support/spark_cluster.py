"""Start a real standalone Spark cluster on this machine, with executors as processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import pyspark

from tests.support.waiting import await_output

_START_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 15.0
_MASTER = "org.apache.spark.deploy.master.Master"
_WORKER = "org.apache.spark.deploy.worker.Worker"
_EXECUTOR = "CoarseGrainedExecutorBackend"


class SparkCluster:
    """A standalone cluster that ``with`` starts and ends.

    Args:
        folder: folder for logs and the work of executors; no other cluster may use it.
        cores: number of the worker's cores; an application takes ``spark.cores.max`` of them, one
            for each executor if ``spark.executor.cores`` is 1.
        memory_mb: the worker's memory for all executors.
    """

    def __init__(self, folder: Path, *, cores: int = 4, memory_mb: int = 4096) -> None:
        self._folder = folder
        self._cores = cores
        self._memory_mb = memory_mb
        self._processes: list[subprocess.Popen[bytes]] = []
        self.master = ""

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        try:
            self.master = self._start(
                _MASTER,
                r"Starting Spark master at (spark://\S+)",
                *("--host", "127.0.0.1", "--port", "0", "--webui-port", "0"),
            )
            self._start(
                _WORKER,
                r"(Successfully registered with master)",
                *("--host", "127.0.0.1", "--webui-port", "0", "--cores", str(self._cores)),
                *("--memory", f"{self._memory_mb}m", "--work-dir", str(self._folder / "work")),
                self.master,
            )
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def submit_options(self, executors: int = 2) -> list[str]:
        """Return spark-submit's options for an application with this many executors of one core."""
        settings = {
            "spark.cores.max": str(executors),
            "spark.executor.cores": "1",
            "spark.executor.memory": "512m",
            "spark.driver.host": "127.0.0.1",
            "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1",
        }
        pairs = (("--conf", f"{key}={value}") for key, value in settings.items())
        return ["--master", self.master, *(part for pair in pairs for part in pair)]

    def list_executors(self) -> list[psutil.Process]:
        """Return the running executors of all applications, oldest first."""
        found = []
        for process in self._processes:
            for child in psutil.Process(process.pid).children(recursive=True):
                try:
                    if any(_EXECUTOR in word for word in child.cmdline()):
                        found.append(child)
                except psutil.Error:  # the process has just ended
                    continue
        return sorted(found, key=lambda child: child.pid)

    def _start(self, name: str, sign: str, *arguments: str) -> str:
        """Start one of Spark's daemons; return what the sign's group matches in its log."""
        home = Path(pyspark.__file__).parent
        environment = {
            **os.environ,
            "SPARK_HOME": str(home),
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": sys.executable,
        }
        environment.pop("SPARK_SUBMIT_OPTS", None)
        path = self._folder / f"{name.rpartition('.')[2].lower()}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                [str(home / "bin" / "spark-class"), name, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
                cwd=self._folder,
            )
        self._processes.append(process)
        return await_output(process, path, sign, _START_TIMEOUT_S)

    def _end(self) -> None:
        """End the worker first, which ends its executors, and then the master."""
        while self._processes:
            process = self._processes.pop()
            below = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for child in psutil.wait_procs(below, timeout=1.0)[1]:
                child.kill()
        shutil.rmtree(self._folder / "work", ignore_errors=True)
