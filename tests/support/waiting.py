"""Waiting for what happens in another thread or process."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from lib import waiting

_POLL_S = 0.05


def wait_until(condition: Callable[[], bool], timeout_s: float = 90.0) -> None:
    """Wait until a condition holds; fail where it does not in time."""
    assert waiting.wait_until(condition, timeout_s), "it did not happen in time"


def await_output(
    process: subprocess.Popen[bytes], log: Path, pattern: str, timeout_s: float = 90.0
) -> str:
    """Wait until a process has written something to its log.

    Args:
        process: that is starting.
        log: which it writes.
        pattern: of what is awaited, with one group.
        timeout_s: how long this may take.

    Returns:
        what the group matches.

    Raises:
        RuntimeError: the process has ended or takes too long; the message has the end of its log.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        is_last = time.monotonic() > deadline or process.poll() is not None
        text = log.read_text(errors="replace")
        found = re.search(pattern, text)
        if found is not None:
            return found[1]
        if is_last:
            raise RuntimeError(f"{log.stem} did not start: {text[-2000:]}")
        time.sleep(_POLL_S)
