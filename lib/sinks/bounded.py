"""A time limit around client calls that may ignore their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")

# Between looks whether the wait is given up.
_LOOK_S = 0.2


class StuckError(Exception):
    """A call did not return in time. It may still be running, and may still succeed."""


def run_bounded(
    call: Callable[[], Result],
    *,
    timeout_s: float,
    what: str,
    given_up: threading.Event | None = None,
) -> Result:
    """Run ``call`` on a thread of its own and wait for it at most ``timeout_s``.

    A thread cannot be ended from outside, so a stuck one is left behind: whatever ``call`` uses
    must not be used again.

    Args:
        call: what to do.
        timeout_s: the longest wait.
        what: it is, for the message.
        given_up: ends the wait when it is set.

    Raises:
        StuckError: it did not return in time.
        Exception: whatever ``call`` raised.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001  it is raised again, by the waiting thread
            future.set_exception(error)

    thread = threading.Thread(target=run, name=what, daemon=True)
    thread.start()
    given_up = given_up or threading.Event()
    deadline = time.monotonic() + timeout_s
    while thread.is_alive() and not given_up.is_set() and time.monotonic() < deadline:
        thread.join(min(_LOOK_S, timeout_s))
    if thread.is_alive():
        reason = "was given up" if given_up.is_set() else f"did not return within {timeout_s:g} s"
        raise StuckError(f"{what} {reason}")
    return future.result()
