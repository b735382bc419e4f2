"""Waiting for what happens in another thread or process."""

from __future__ import annotations

import time
from collections.abc import Callable

_POLL_S = 0.05


def wait_until(condition: Callable[[], bool], timeout_s: float = 90.0) -> None:
    """Wait until a condition holds; fail where it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(_POLL_S)
