"""Compute latencies from a schedule and arrivals, with and without batch boundaries.

This module is pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# The boundary is around the moment at which a batch is in the commit log: its tasks end, its
# offsets are written, the next batch is planned and started, and the delay is caught up.
BEFORE_BOUNDARY_S = 0.5
AFTER_BOUNDARY_S = 1.0

Seconds = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Latency:
    """Quantiles of some records' delays, in milliseconds.

    Attributes:
        records: the number of records; the figures are None if it is 0.
        p50_ms: the delay that half of the records do not exceed.
        p99_ms, p999_ms: the delays that 99 % and 99.9 % of the records do not exceed.
        max_ms: the longest delay.
    """

    records: int
    p50_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    max_ms: float | None

    @classmethod
    def over(cls, latencies_s: Seconds) -> Latency:
        """Compute the quantiles of latencies: float64 [n_records], in seconds."""
        if not latencies_s.size:
            return cls(0, None, None, None, None)
        figures_ms = np.percentile(latencies_s, [50, 99, 99.9, 100]) * 1000
        return cls(latencies_s.size, *(round(float(ms), 1) for ms in figures_ms))


def compute_latencies(
    start_s: float, rate: float, first: int, arrived_s: Sequence[float]
) -> tuple[Seconds, Seconds]:
    """Compute when each record was due, and how long after that its answer was there.

    The clock of a record starts at its scheduled time, not when it was sent: a sender that is
    delayed must not make the job look fast.

    Args:
        start_s: the time at which record 0 was due.
        rate: the records per second.
        first: the first record that counts; those before it only warm up.
        arrived_s: the time at which each record's answer was read; 0 for one without an answer,
            which has no latency.

    Returns:
        The arrays due_s and latencies_s: float64 [n_records], in the order of the records.
    """
    arrivals_s = np.asarray(arrived_s, dtype=np.float64)[first:]
    numbers = np.arange(first, first + arrivals_s.size)[arrivals_s > 0]
    due_s = start_s + numbers / rate
    return due_s, arrivals_s[arrivals_s > 0] - due_s


def is_away(due_s: Seconds, boundaries_s: Sequence[float]) -> npt.NDArray[np.bool_]:
    """Tell which records were due away from every batch boundary: bool [n_records]."""
    away = np.ones(due_s.shape, dtype=bool)
    for boundary_s in boundaries_s:
        away &= (due_s < boundary_s - BEFORE_BOUNDARY_S) | (due_s > boundary_s + AFTER_BOUNDARY_S)
    return away
