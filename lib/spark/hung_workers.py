"""Ends Python workers that hang after their tasks were cancelled."""

from __future__ import annotations

import logging
from typing import Any

from pyspark.sql import SparkSession

from lib.spark.session import is_local, wait_for_tasks

logger = logging.getLogger(__name__)

_DAEMON = "pyspark.daemon"


def end_hung_workers(session: SparkSession) -> None:
    """Make sure that cancelled tasks end, and that the next ones get workers that work.

    Two seconds after a task was cancelled, Spark lets the daemon of the workers kill its worker, on
    every machine. If the daemon hangs too, it kills and starts no worker. So this kills the daemon
    of this machine with all of its workers, and Spark starts another one.
    """
    wait_for_tasks(session)
    if not is_local(session):
        return
    jvm: Any = session._jvm
    for daemon in _list(jvm.java.lang.ProcessHandle.current().children()):
        if _DAEMON in str(daemon.info().commandLine().orElse("")):
            logger.info("killing Spark's Python workers daemon_pid=%d", daemon.pid())
            for worker in _list(daemon.descendants()):
                worker.destroyForcibly()
            daemon.destroyForcibly()


def _list(stream: Any) -> list[Any]:
    """List the objects of a Java stream."""
    return list(stream.toList())
