"""Watch a contestant from outside, in the same way for all of them."""

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
# After this time nothing more comes: transactions of a few seconds have ended, and so has a start
# of Spark.
_CALM_S = 4.0
_STUCK_S = 90.0
# Memory is read less often, because reading that of a dozen processes costs more than a look.
_LOOKS_PER_WEIGHING = 10


@dataclass(frozen=True)
class Observation:
    """The observed output and resources of a contestant.

    Attributes:
        sightings: the sightings, one for each change.
        duration_s: the seconds from start to end of its process.
        peak_bytes: the largest memory of its processes together.
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
        """Yield the processes that run now."""
        for child in _list_children():
            if child not in self._known:
                yield child
                with suppress(psutil.NoSuchProcess):
                    yield from child.children(recursive=True)

    @property
    def cpu_s(self) -> float:
        """Processor time of all members at the times when their memory was read."""
        return sum(self._cpu_s.values())

    def weigh(self) -> int:
        """Return the resident bytes of all members; shared memory counts for each of them."""
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
    """A judge of whether a contestant that never ends has drained its topic, or never will.

    Args:
        records: the number of records in the topic.
    """

    def __init__(self, records: int) -> None:
        self._records = records
        self._total = 0
        self._changed_s = time.monotonic()

    def note(self, total: int) -> int:
        """Note how many messages have come out so far, and return that number."""
        if total != self._total:
            self._total, self._changed_s = total, time.monotonic()
        return total

    @property
    def is_over(self) -> bool:
        """Whether all messages are out and no more came for a while, or none came for long."""
        calm_s = time.monotonic() - self._changed_s
        return calm_s > (_CALM_S if self._total >= self._records else _STUCK_S)


def watch(count: Callable[[], int], is_running: Callable[[], bool], family: Family) -> Observation:
    """Observe the contestant until it has ended. The clock starts with the call.

    Args:
        count: a function that returns the number of messages that are out.
        is_running: a function that tells whether the contestant runs.
        family: the processes of the contestant.
    """
    started_s = time.monotonic()
    sightings: list[Sighting] = []
    peak_bytes = looks = 0
    while True:
        # This comes before the count, so that the last look sees everything.
        was_running = is_running()
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
