"""Notices that the clock of this machine was set back."""

from __future__ import annotations

import time

# A smaller step delays a batch by as much, and no more.
_LEAST_S = 5.0


class ClockWatch:
    """Compares the clock with the one that only goes on.

    Spark's trigger waits for a time of the clock: after a step back it would wait for as long as
    the step.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Take the clock as it is now for right."""
        self._ahead_s = self._measure()

    def find_step_back(self) -> float | None:
        """Return the seconds by which the clock was set back since the beginning; None if not."""
        ahead_s = self._measure()
        # A step forward, or a machine that was suspended, delays nothing.
        self._ahead_s = max(self._ahead_s, ahead_s)
        step_s = self._ahead_s - ahead_s
        return step_s if step_s >= _LEAST_S else None

    def _measure(self) -> float:
        return time.time() - time.monotonic()
