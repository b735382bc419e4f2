"""Handles Ctrl-C and SIGTERM for as long as a block lasts."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType, TracebackType
from typing import Never, Self

#: The signals that a terminal and a supervisor send to end a process.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Handler = Callable[[int, FrameType | None], object]


@contextmanager
def handle_signals(handler: Handler | signal.Handlers) -> Iterator[None]:
    """Handle both signals with a handler within the block. Only the main thread may do so."""
    before = {number: signal.signal(number, handler) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def raise_interrupt(number: int, frame: FrameType | None) -> Never:
    """Let a signal end the process as Ctrl-C does; to be used as a handler.

    Raises:
        KeyboardInterrupt: always.
    """
    raise KeyboardInterrupt


class Interruption:
    """Notes the first signal while it is open; a second one has its usual effect."""

    def __init__(self) -> None:
        self._is_requested = False
        self._handling = ExitStack()

    def is_requested(self) -> bool:
        """Tell whether a signal came."""
        return self._is_requested

    def __enter__(self) -> Self:
        self._handling.enter_context(handle_signals(self._note))
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._handling.close()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._is_requested = True
        self._handling.close()
