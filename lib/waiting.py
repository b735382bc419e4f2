"""Waiting for a condition, by looking again and again."""

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
