"""Keeps how the figures were in the last hour, for a page that is opened later."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import astuple, dataclass, fields
from typing import Any

from lib.background import Background
from lib.messages.tally import BOUNDS_S
from lib.telemetry.figures import Figures
from lib.telemetry.page.percentiles import find_percentile

#: The time between two points, and the time for which they are kept.
INTERVAL_S = 2.0
KEPT_S = 3_600.0
#: Rates and percentiles are those of this time before a point: batches come in bursts.
WINDOW_S = 10.0


@dataclass(frozen=True)
class Sample:
    """The figures at one moment, of which those that count go up from the start of the process.

    Attributes:
        at_s: the time in seconds since 1970.
        tick_s: the same time on a clock that is never set.
        records, dead_letters: the numbers of answers and of dead letters among them.
        shadow_errors: the number of records for which a shadow gave no answer.
        waits: the number of records in each class of waiting times.
        lag_records: the number of offsets without an answer; None if it is not known.
        lag_s: the age of the oldest record without an answer; None if it is not known.
        memory_bytes: the resident memory of all processes; None if it is not known.
        cpu_s: the processor time of all processes.
    """

    at_s: float
    tick_s: float
    records: int
    dead_letters: int
    waits: tuple[int, ...]
    lag_records: int | None
    lag_s: float | None
    memory_bytes: int | None
    cpu_s: float
    shadow_errors: int = 0


@dataclass(frozen=True)
class Point:
    """The values of the charts at one moment; None for a value that is not known.

    Attributes:
        at_s: the time in seconds since 1970.
        rate: the number of answers per second.
        dead_letter_rate: the number of dead letters per second.
        p50_s, p95_s, p99_s: percentiles of the time from the record's timestamp to the commit.
        lag_records: the number of offsets without an answer.
        lag_s: the age of the oldest record without an answer.
        memory_bytes: the resident memory of all processes.
        cpu: the number of processors in use.
        records, dead_letters: the numbers of all answers and dead letters so far.
        shadow_errors: the number of records so far for which a shadow gave no answer.
    """

    at_s: float
    rate: float | None
    dead_letter_rate: float | None
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    lag_records: int | None
    lag_s: float | None
    memory_bytes: int | None
    cpu: float | None
    records: int
    dead_letters: int
    shadow_errors: int = 0


def take_sample(figures: Figures, at_s: float, tick_s: float) -> Sample:
    """Read the figures at one moment; for the arguments see :class:`Sample`."""
    with figures.reading():
        dead_letters = sum(figures.count_outcomes(figures.dead_letter_topic).values())
        lags = [lag.records for lag in figures.lag.values()]
        ages = [lag.find_age_s(at_s) for lag in figures.lag.values()]
        uses = figures.processes.values()
        known_lags = [lag for lag in lags if lag is not None]
        return Sample(
            at_s=at_s,
            tick_s=tick_s,
            records=figures.records,
            dead_letters=dead_letters,
            waits=figures.tally.record_waits.counts,
            lag_records=sum(known_lags) if known_lags else None,
            lag_s=max((age for age in ages if age is not None), default=None),
            memory_bytes=sum(use.memory_bytes for use in uses) if uses else None,
            cpu_s=sum(use.cpu_s for use in uses),
            shadow_errors=figures.shadow_errors,
        )


def compare(earlier: Sample | None, now: Sample) -> Point:
    """Make a point of a sample and one before it; None if there is none yet."""
    rate = dead_letter_rate = cpu = None
    p50_s = p95_s = p99_s = None
    if earlier is not None and now.tick_s > earlier.tick_s:
        passed_s = now.tick_s - earlier.tick_s
        rate = (now.records - earlier.records) / passed_s
        dead_letter_rate = (now.dead_letters - earlier.dead_letters) / passed_s
        # Processes that have ended take their time with them.
        is_measured = now.memory_bytes is not None and earlier.memory_bytes is not None
        cpu = max(0.0, now.cpu_s - earlier.cpu_s) / passed_s if is_measured else None
        waits = [a - b for a, b in zip(now.waits, earlier.waits, strict=True)]
        p50_s, p95_s, p99_s = (
            find_percentile(waits, BOUNDS_S, share) for share in (0.5, 0.95, 0.99)
        )
    return Point(
        at_s=now.at_s,
        rate=rate,
        dead_letter_rate=dead_letter_rate,
        p50_s=p50_s,
        p95_s=p95_s,
        p99_s=p99_s,
        lag_records=now.lag_records,
        lag_s=now.lag_s,
        memory_bytes=now.memory_bytes,
        cpu=cpu,
        records=now.records,
        dead_letters=now.dead_letters,
        shadow_errors=now.shadow_errors,
    )


class History:
    """The points of the last hour; every method may be called from any thread.

    Args:
        interval_s: the time between two samples.
        kept_s: the time for which points are kept.
    """

    def __init__(self, interval_s: float = INTERVAL_S, kept_s: float = KEPT_S) -> None:
        self.interval_s = interval_s
        self._lock = threading.Lock()
        self._points: deque[Point] = deque(maxlen=round(kept_s / interval_s))
        self._samples: deque[Sample] = deque(maxlen=round(WINDOW_S / interval_s))

    def add(self, sample: Sample) -> None:
        """Add the newest sample."""
        with self._lock:
            earlier = self._samples[0] if self._samples else None
            self._points.append(compare(earlier, sample))
            self._samples.append(sample)

    @property
    def newest(self) -> Point | None:
        """The newest point."""
        with self._lock:
            return self._points[-1] if self._points else None

    def find_before(self, seconds: float) -> Point | None:
        """Return the point that is so much older than the newest, or the oldest; None for none."""
        with self._lock:
            steps = round(seconds / self.interval_s) + 1
            return self._points[-min(steps, len(self._points))] if self._points else None

    def list_columns(self) -> dict[str, list[Any]]:
        """Return name of the attribute → its value in each point, the oldest first."""
        with self._lock:
            rows = [astuple(point) for point in self._points]
        names = [field.name for field in fields(Point)]
        values = zip(*rows, strict=True) if rows else [()] * len(names)
        return {name: list(column) for name, column in zip(names, values, strict=True)}


class Sampler(Background):
    """Adds a sample to the history at each interval, with or without a viewer.

    Args:
        figures: the figures of the process.
        history: the history.
    """

    def __init__(self, figures: Figures, history: History) -> None:
        super().__init__("history of the page", patience_s=1.0)
        self._figures = figures
        self._history = history

    def _run(self) -> None:
        while True:
            self._history.add(take_sample(self._figures, time.time(), time.monotonic()))
            if self._stopped.wait(self._history.interval_s):
                return
