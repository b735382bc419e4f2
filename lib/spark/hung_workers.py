"""The end of Python workers that hang, when their tasks have been cancelled."""

from __future__ import annotations

import logging
from typing import Any

from pyspark.sql import SparkSession

from lib.spark.session import is_local, wait_for_tasks

logger = logging.getLogger(__name__)

_DAEMON = "pyspark.daemon"


def end_hung_workers(session: SparkSession) -> None:
    """Make sure that cancelled tasks end, and that the next ones get workers that work.

    Spark lets the daemon of the workers kill the worker of a cancelled task, two seconds later, on
    every machine. That is in vain where the daemon hangs too, and so is every start of a worker. So
    on this machine the daemon is killed with all of its workers: Spark starts another one.
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
    """What a Java stream holds."""
    return list(stream.toList())
