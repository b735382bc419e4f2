"""Measure a job's processes from outside: memory, files, threads, connections."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import psutil

from lib.background import Background


class Role(StrEnum):
    """Roles of the processes of a job."""

    JVM = "JVM"
    DRIVER = "driver"
    WORKERS = "Python workers"


@dataclass(frozen=True)
class Weight:
    """The resources that all processes of one role hold at one moment.

    Attributes:
        at_s: time by the monotonic clock.
        processes: number of processes.
        rss_bytes: resident memory; shared pages count for each process.
        uss_bytes: memory that would be free if the processes ended.
        files: number of open file descriptors.
        connections: number of open TCP connections.
        threads: number of threads of the operating system.
    """

    at_s: float
    processes: int
    rss_bytes: int
    uss_bytes: int
    files: int
    connections: int
    threads: int


def find_role(process: psutil.Process) -> Role | None:
    """Return the role of a process; None for shells and other short-lived processes."""
    if process.name() == "java":
        return Role.JVM
    command = process.cmdline()
    if "pyspark.daemon" in command or "pyspark.worker" in command:
        return Role.WORKERS
    return Role.DRIVER if "python" in process.name() else None


def weigh(root: psutil.Process) -> dict[Role, Weight]:
    """Measure a process and its descendants, and sum up by role."""
    now_s = time.monotonic()
    sums: dict[Role, list[int]] = {}
    family = [root]
    with suppress(psutil.NoSuchProcess):
        family += root.children(recursive=True)
    for process in family:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            role = find_role(process)
            if role is None:
                continue
            memory = process.memory_full_info()
            counts = (
                1,
                memory.rss,
                memory.uss,
                process.num_fds(),
                len(process.net_connections("tcp")),
                process.num_threads(),
            )
            before = sums.get(role, [0] * len(counts))
            sums[role] = [a + b for a, b in zip(before, counts, strict=True)]
    return {role: Weight(now_s, *values) for role, values in sums.items()}


class FamilyWatch(Background):
    """A thread that measures a job again and again, until the ``with`` block ends.

    Args:
        root_pid: process id of the job's first process.
        interval_s: time between two measurements.

    Attributes:
        weights: role → its measurements, in order.
    """

    def __init__(self, root_pid: int, interval_s: float) -> None:
        super().__init__("watch")
        self.weights: dict[Role, list[Weight]] = {}
        self._root_pid = root_pid
        self._interval_s = interval_s

    def _run(self) -> None:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._root_pid)
            while not self._stopped.wait(self._interval_s):
                for role, weight in weigh(root).items():
                    self.weights.setdefault(role, []).append(weight)
