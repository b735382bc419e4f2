"""Waiting for a condition, by looking again and again, and telling of waits that last."""

from __future__ import annotations

import time
from collections.abc import Callable

_POLL_S = 0.05


def wait_until(condition: Callable[[], bool], timeout_s: float, *, poll_s: float = _POLL_S) -> bool:
    """Wait until a condition holds, and tell whether it does.

    Args:
        condition: a function that is called at least once, then every ``poll_s`` seconds.
        timeout_s: the longest wait; a call of ``condition`` that is under way is not cut short.
        poll_s: the pause between two calls.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline_s:
            return False
        time.sleep(poll_s)
    return True


class Reminder:
    """Decides when the next line about a wait is due, at growing intervals.

    The wait is twice as long with each line, until the interval would exceed its limit.

    Args:
        first_s: the wait in seconds after which the first line is due.
        longest_s: the limit of the interval in seconds.
    """

    def __init__(self, first_s: float, longest_s: float = 600.0) -> None:
        self._next_s = first_s
        self._longest_s = longest_s

    def is_due(self, waited_s: float) -> bool:
        """Tell whether a line is due after this wait, and if so, plan the next one."""
        if waited_s < self._next_s:
            return False
        self._next_s += min(self._next_s, self._longest_s)
        return True
