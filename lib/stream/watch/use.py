"""Measures again and again what the processes of the job need, and how long brokers are away."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
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
        self._meter = CpuMeter()
        self._retention_s: float | None = None
        self._has_asked = False

    def measure(self) -> None:
        """Measure everything once."""
        processes = measure_processes(self._jvm_pid, self._meter)
        usage = self._heap.getHeapMemoryUsage()
        heap = Heap(int(usage.getUsed()), int(usage.getMax()))
        expire_s = self._find_expiry_s()
        with self._figures.changing():
            self._figures.processes = processes
            self._figures.heap = heap
            self._figures.outage_s = self._find_outage_s()
            self._figures.client_errors = FAILED_ATTEMPTS.copy()
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


class CpuMeter:
    """Adds up the processor time of groups of processes, so that it never falls.

    Prometheus takes a counter that falls for one that has begun again, and adds all of it.
    """

    def __init__(self) -> None:
        self._running: dict[str, dict[psutil.Process, float]] = {}
        self._ended_s: dict[str, float] = {}

    def add(self, group: str, times_s: Mapping[psutil.Process, float]) -> float:
        """Return the time of all processes so far.

        Args:
            group: the name of the group.
            times_s: process that runs now → its processor time in seconds.
        """
        before = self._running.get(group, {})
        ended_s = sum(used_s for process, used_s in before.items() if process not in times_s)
        self._ended_s[group] = self._ended_s.get(group, 0.0) + ended_s
        self._running[group] = dict(times_s)
        return self._ended_s[group] + sum(times_s.values())


def measure_processes(jvm_pid: int, meter: CpuMeter) -> dict[str, ProcessUse]:
    """Measure this process as ``driver``, ``jvm``, and the JVM's Python ``workers``.

    Under spark-submit the JVM is this process' parent, and else its child.

    Args:
        jvm_pid: the number of the JVM's process.
        meter: the meter, which remembers processes that have ended since the last call.
    """
    me = psutil.Process(os.getpid())
    groups = {"driver": [me]}
    try:
        jvm = psutil.Process(jvm_pid)
        below = jvm.children(recursive=True)
        mine = [me, *me.children(recursive=True)] if me in below else []
        groups |= {"jvm": [jvm], "workers": [it for it in below if it not in mine]}
    except psutil.NoSuchProcess:
        pass
    return {name: _add_up(name, processes, meter) for name, processes in groups.items()}


def _add_up(name: str, processes: Iterable[psutil.Process], meter: CpuMeter) -> ProcessUse:
    memory_bytes, times_s = 0, {}
    for process in processes:
        try:
            with process.oneshot():
                memory_bytes += process.memory_info().rss
                times = process.cpu_times()
        except psutil.Error:  # it has ended meanwhile
            continue
        times_s[process] = times.user + times.system
    return ProcessUse(memory_bytes, meter.add(name, times_s), len(times_s))
