"""Measures again and again what the processes of the job need, and how long brokers are away."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Any

import psutil
from confluent_kafka import KafkaException
from pyspark.sql import SparkSession

from lib.background import Background
from lib.exactly_once.sink import ExactlyOnceSink
from lib.exactly_once.transaction.retry import FAILED_ATTEMPTS
from lib.kafka.admin import build_admin
from lib.kafka.broker_settings import find_shortest_retention_s
from lib.kafka.cluster import Cluster
from lib.telemetry.figures import Figures, Heap, ProcessUse

_PAUSE_S = 5.0


class UseWatch(Background):
    """Measures memory, processor time, outages and the age of the group's offsets.

    Args:
        spark: the Spark session; its JVM is on this machine.
        cluster: the cluster, whose retention of offsets is asked for once.
        sink: the exactly-once sink, which knows when it has committed; None without it.
        find_outage_s: a function that returns the seconds for which brokers have been away.
        figures: the figures, which get the results.
    """

    def __init__(
        self,
        spark: SparkSession,
        cluster: Cluster,
        sink: ExactlyOnceSink | None,
        find_outage_s: Callable[[], float],
        figures: Figures,
    ) -> None:
        super().__init__("use watch", patience_s=0.0)
        self._cluster = cluster
        self._sink = sink
        self._find_outage_s = find_outage_s
        self._figures = figures
        jvm: Any = spark._jvm
        self._jvm_pid = int(jvm.java.lang.ProcessHandle.current().pid())
        self._heap = jvm.java.lang.management.ManagementFactory.getMemoryMXBean()
        self._retention_s: float | None = None
        self._has_asked = False

    def measure(self) -> None:
        """Measure everything once."""
        processes = measure_processes(self._jvm_pid)
        usage = self._heap.getHeapMemoryUsage()
        heap = Heap(int(usage.getUsed()), int(usage.getMax()))
        expire_s = self._find_expiry_s()
        with self._figures.changing():
            self._figures.processes = processes
            self._figures.heap = heap
            self._figures.outage_s = self._find_outage_s()
            self._figures.client_errors.update(FAILED_ATTEMPTS - self._figures.client_errors)
            self._figures.offsets_expire_s = expire_s

    def _find_expiry_s(self) -> float | None:
        """Find when brokers may forget the group's offsets, in seconds since 1970."""
        if self._sink is None:
            return None
        if not self._has_asked:
            try:
                self._retention_s = find_shortest_retention_s(build_admin(self._cluster))
                self._has_asked = True
            except KafkaException:  # brokers that are away are told of elsewhere
                return None
        committed_s = self._sink.committed_all_s
        if self._retention_s is None or committed_s is None:
            return None
        return time.time() - (time.monotonic() - committed_s) + self._retention_s

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopped.wait(pause_s):
            self.measure()
            pause_s = _PAUSE_S


def measure_processes(jvm_pid: int) -> dict[str, ProcessUse]:
    """Measure this process as ``driver``, ``jvm``, and the JVM's Python ``workers``.

    Under spark-submit the JVM is this process' parent, and else its child.
    """
    me = psutil.Process(os.getpid())
    try:
        jvm = psutil.Process(jvm_pid)
        below = jvm.children(recursive=True)
        mine = [me, *me.children(recursive=True)] if me in below else []
    except psutil.NoSuchProcess:
        return {"driver": _add_up([me])}
    workers = [it for it in below if it not in mine]
    return {"driver": _add_up([me]), "jvm": _add_up([jvm]), "workers": _add_up(workers)}


def _add_up(processes: Iterable[psutil.Process]) -> ProcessUse:
    memory_bytes, cpu_s, count = 0, 0.0, 0
    for process in processes:
        try:
            with process.oneshot():
                memory_bytes += process.memory_info().rss
                times = process.cpu_times()
        except psutil.Error:  # it has ended meanwhile
            continue
        cpu_s += times.user + times.system
        count += 1
    return ProcessUse(memory_bytes, cpu_s, count)
