"""Measure the memory of containers as YARN does: resident pages of the whole process tree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from lib.background import Background

_POLL_S = 0.25
_MIB = 1024 * 1024
#: Role → part of the command line of its JVM.
_ROLES = {"driver": "deploy.yarn.ApplicationMaster", "executor": "CoarseGrainedExecutorBackend"}


@dataclass(frozen=True)
class Usage:
    """The memory of one container at one moment, in MiB.

    Attributes:
        jvm: resident pages of the JVM, its heap included.
        python: resident pages of all Python processes below the JVM.
        processes: number of these Python processes.
    """

    jvm: float = 0.0
    python: float = 0.0
    processes: int = 0

    @property
    def total(self) -> float:
        """The memory that YARN compares with the container's limit."""
        return self.jvm + self.python


class MemoryWatch(Background):
    """A watch that keeps the largest usage of driver and executors while a ``with`` block runs.

    Args:
        root: process whose descendants the containers are.
    """

    def __init__(self, root: int) -> None:
        super().__init__("memory watch")
        self._root = psutil.Process(root)
        self.peaks: dict[str, Usage] = {}

    def _run(self) -> None:
        while not self._stopped.wait(_POLL_S):
            for process in self._root.children(recursive=True):
                try:
                    role = find_role(process.cmdline())
                    if role is not None:
                        self._note(role, process)
                except psutil.Error:  # the process has just ended
                    continue

    def _note(self, role: str, process: psutil.Process) -> None:
        children = [_read_resident(child) for child in process.children(recursive=True)]
        usage = Usage(_read_resident(process), sum(children), len(children))
        if usage.total > self.peaks.get(role, Usage()).total:
            self.peaks[role] = usage


def find_role(words: Iterable[str]) -> str | None:
    """Tell a driver from an executor by its JVM's command line; None for any other process."""
    words = list(words)
    if not words or not words[0].endswith("java"):
        return None
    return next((role for role, text in _ROLES.items() if any(text in it for it in words)), None)


def _read_resident(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / _MIB
