"""Puts a time limit on client calls that may ignore their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")

# The time between two looks whether the wait is given up.
_LOOK_S = 0.2


class StuckError(Exception):
    """A call did not return in time. It may still be running, and may still succeed."""


def run_bounded(
    call: Callable[[], Result],
    *,
    timeout_s: float,
    what: str,
    given_up: threading.Event | None = None,
    clean_up: Callable[[], object] | None = None,
) -> Result:
    """Run ``call`` on a thread of its own and wait for it at most ``timeout_s``.

    A thread cannot be ended from outside, so a stuck one is left behind, and the objects that
    ``call`` uses must not be used again. They are released when the call returns, however late.

    Args:
        call: the function to call.
        timeout_s: the longest wait.
        what: the name of the call, for the error message.
        given_up: an event that ends the wait.
        clean_up: a function that the thread that was left behind calls when its call has returned.

    Raises:
        StuckError: the call did not return in time.
        Exception: the error that ``call`` raised.
    """
    work = _Work(call, clean_up)
    thread = threading.Thread(target=work.run, name=what, daemon=True)
    thread.start()
    given_up = given_up or threading.Event()
    deadline = time.monotonic() + timeout_s
    while thread.is_alive() and not given_up.is_set() and time.monotonic() < deadline:
        thread.join(min(_LOOK_S, timeout_s))
    if work.abandon():
        reason = "was given up" if given_up.is_set() else f"did not return within {timeout_s:g} s"
        raise StuckError(f"{what} {reason}")
    return work.future.result()


class _Work(Generic[Result]):
    """A call on a thread, whose result is dropped if nobody waits for it any more."""

    def __init__(self, call: Callable[[], Result], clean_up: Callable[[], object] | None) -> None:
        self.future: Future[Result] = Future()
        self._call = call
        self._clean_up = clean_up
        self._lock = threading.Lock()
        self._is_abandoned = False

    def run(self) -> None:
        result: Result | None = None
        error: BaseException | None = None
        try:
            result = self._call()
        except BaseException as raised:  # noqa: BLE001  the waiting thread raises it again
            error = raised
        with self._lock:
            if not self._is_abandoned:
                self._finish(result, error)
                return
        result = error = None
        if self._clean_up is not None:
            self._clean_up()

    def abandon(self) -> bool:
        """Drop the result of a call that has not returned, and tell whether it has not."""
        with self._lock:
            self._is_abandoned = not self.future.done()
            return self._is_abandoned

    def _finish(self, result: Any, error: BaseException | None) -> None:
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)
