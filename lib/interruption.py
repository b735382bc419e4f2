"""Ctrl-C and SIGTERM as a question that a loop asks."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """Notes the first signal while it is open; a second one does what it always does."""

    def __init__(self) -> None:
        self._is_requested = False
        self._handlers: dict[signal.Signals, Any] = {}

    def is_requested(self) -> bool:
        """Whether a signal came."""
        return self._is_requested

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._is_requested = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
