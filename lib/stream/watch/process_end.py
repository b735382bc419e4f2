"""Ends the job's processes at once, when a stop takes too long.

All of a batch is visible, or nothing, whenever the process ends: the next start finds out.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import suppress
from typing import Any, Never

from pyspark import SparkContext

from lib.bounded import run_bounded
from lib.waiting import wait_until

# A JVM that does not answer within this is killed.
_HALT_S = 3.0
# The time in which a JVM may clean up: Spark would wait 30 s for consumers of a silent broker.
_SHUTDOWN_S = 5.0


def has_jvm() -> bool:
    """Tell whether spark-submit has started this process, so that its JVM is the parent."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def end_process(code: int, *, with_jvm: bool = True) -> Never:
    """End this process and its JVM at once, without returning.

    Args:
        code: the exit code of both.
        with_jvm: whether to halt the JVM at once too. Otherwise it has a few seconds to clean up.
    """
    parent = os.getppid()
    logging.shutdown()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    if SparkContext._gateway is not None:
        within_s = 0.0 if with_jvm else _SHUTDOWN_S
        # A JVM that has ended does not answer, and one that hangs does not answer in time.
        with suppress(Exception):
            run_bounded(
                lambda: limit_jvm(code, within_s), timeout_s=_HALT_S, what="halting the JVM"
            )
        # Under spark-submit the JVM is the parent, and its exit code is the job's.
        if with_jvm and has_jvm() and not wait_until(lambda: os.getppid() != parent, _HALT_S):
            os.kill(parent, signal.SIGKILL)
            wait_until(lambda: os.getppid() != parent, _HALT_S)
    os._exit(code)


def limit_jvm(code: int, within_s: float) -> None:
    """Let the JVM halt itself with an exit code after so many seconds, if it still runs then.

    It does so without Python, with a method handle for ``() -> Runtime.getRuntime().halt(code)``.
    """
    gateway: Any = SparkContext._gateway
    jvm = gateway.jvm
    handles, types = jvm.java.lang.invoke.MethodHandles, jvm.java.lang.invoke.MethodType
    runtime = jvm.java.lang.Runtime.getRuntime()
    halt = handles.publicLookup().findVirtual(
        jvm.java.lang.Class.forName("java.lang.Runtime"),
        "halt",
        types.methodType(jvm.java.lang.Void.TYPE, jvm.java.lang.Integer.TYPE),
    )
    bound = gateway.new_array(jvm.java.lang.Object, 2)
    bound[0], bound[1] = runtime, int(code)
    runnable = jvm.java.lang.invoke.MethodHandleProxies.asInterfaceInstance(
        jvm.java.lang.Class.forName("java.lang.Runnable"),
        handles.insertArguments(halt, 0, bound),
    )
    jvm.java.util.concurrent.ScheduledThreadPoolExecutor(1).schedule(
        runnable, int(within_s * 1000), jvm.java.util.concurrent.TimeUnit.MILLISECONDS
    )
