"""Watches a contestant from outside: the same eye for all of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil

from benchmarks.timeline import Sighting

# A look costs the broker a millisecond.
_LOOK_INTERVAL_S = 0.05
# Nothing more comes: transactions of a few seconds are over, and a start of Spark is.
_CALM_S = 4.0
_STUCK_S = 90.0
# Reading the memory of a dozen processes costs more.
_LOOKS_PER_WEIGHING = 10


@dataclass(frozen=True)
class Observation:
    """What was seen of a contestant.

    Attributes:
        sightings: one for each change.
        duration_s: the seconds from start to end of its process.
        peak_bytes: the largest weight of its processes.
        cpu_s: the processor time that its processes have used.
    """

    sightings: list[Sighting]
    duration_s: float
    peak_bytes: int
    cpu_s: float


class Family:
    """All processes that were started by this one after a certain moment, and their descendants."""

    def __init__(self) -> None:
        self._known = set(_list_children())
        self._cpu_s: dict[psutil.Process, float] = {}

    def members(self) -> Iterator[psutil.Process]:
        """Those that run now."""
        for child in _list_children():
            if child not in self._known:
                yield child
                with suppress(psutil.NoSuchProcess):
                    yield from child.children(recursive=True)

    @property
    def cpu_s(self) -> float:
        """Processor time of all of them, as far as they were weighed."""
        return sum(self._cpu_s.values())

    def weigh(self) -> int:
        """Resident bytes of all of them together; what they share counts for each."""
        total = 0
        for process in self.members():
            with suppress(psutil.NoSuchProcess), process.oneshot():
                total += process.memory_info().rss
                times = process.cpu_times()
                self._cpu_s[process] = times.user + times.system
        return total


def _list_children() -> list[psutil.Process]:
    return psutil.Process(os.getpid()).children()


class Patience:
    """Decides when a contestant that never ends has drained its topic, or will not.

    Args:
        records: the number of records in the topic.
    """

    def __init__(self, records: int) -> None:
        self._records = records
        self._total = 0
        self._changed_s = time.monotonic()

    def note(self, total: int) -> int:
        """Return what has come out so far."""
        if total != self._total:
            self._total, self._changed_s = total, time.monotonic()
        return total

    @property
    def is_over(self) -> bool:
        """All of it is out and nothing more came for a while, or nothing came for long."""
        calm_s = time.monotonic() - self._changed_s
        return calm_s > (_CALM_S if self._total >= self._records else _STUCK_S)


def watch(count: Callable[[], int], is_running: Callable[[], bool], family: Family) -> Observation:
    """Look until the contestant has ended. The clock starts with the call.

    Args:
        count: messages that are out.
        is_running: whether the contestant is.
        family: its processes.
    """
    started_s = time.monotonic()
    sightings: list[Sighting] = []
    peak_bytes = looks = 0
    while True:
        was_running = is_running()  # before counting: the last look must see everything
        total = count()
        if not sightings or total != sightings[-1].total:
            sightings.append(Sighting(time.monotonic() - started_s, total))
        if not was_running:
            duration_s = time.monotonic() - started_s
            return Observation(sightings, duration_s, peak_bytes, family.cpu_s)
        if looks % _LOOKS_PER_WEIGHING == 0:
            peak_bytes = max(peak_bytes, family.weigh())
        looks += 1
        time.sleep(_LOOK_INTERVAL_S)
