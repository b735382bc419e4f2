"""A time limit around client calls that may ignore their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


class StuckError(Exception):
    """A call did not return in time. It may still be running, and may still succeed."""


def run_bounded(call: Callable[[], Result], *, timeout_s: float, what: str) -> Result:
    """Run ``call`` on a thread of its own and wait for it at most ``timeout_s``.

    A thread cannot be ended from outside, so a stuck one is left behind: whatever ``call`` uses
    must not be used again.

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
    thread.join(timeout_s)
    if thread.is_alive():
        raise StuckError(f"{what} did not return within {timeout_s:g} s")
    return future.result()
