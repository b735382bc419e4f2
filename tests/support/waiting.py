"""Wait for what happens in another thread or process."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from lib import waiting

_POLL_S = 0.05


def wait_until(condition: Callable[[], bool], timeout_s: float = 90.0) -> None:
    """Wait until a condition holds, and fail if it does not hold in time."""
    assert waiting.wait_until(condition, timeout_s), "it did not happen in time"


def await_output(
    process: subprocess.Popen[bytes], log: Path, pattern: str, timeout_s: float = 90.0
) -> str:
    """Wait until a process has written a text to its log.

    Args:
        process: process that is starting.
        log: file that the process writes.
        pattern: regular expression of the awaited text, with one group.
        timeout_s: longest time to wait.

    Returns:
        The text that the group matches.

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
