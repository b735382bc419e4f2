"""Work on a thread of its own, for as long as a ``with`` block lasts."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

from lib.waiting import wait_until


class Background(ABC):
    """A thread that runs :meth:`_run` until the block ends.

    Args:
        name: the name of the thread.
        patience_s: the time that the end of the block waits for the thread; None for as long as it
            takes.

    Attributes:
        failure: the error that ended the thread before it was told to end; None if there was none.
    """

    def __init__(self, name: str, patience_s: float | None = None) -> None:
        self.failure: Exception | None = None
        self._patience_s = patience_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._guard, name=name, daemon=True)

    def start(self) -> Self:
        """Start the thread, where no ``with`` block does."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Tell the thread to end, and wait for it."""
        self._stopped.set()
        self._thread.join(self._patience_s)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raise the error that ended the thread, if there was one."""
        if self.failure is not None:
            raise self.failure

    def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a condition holds, and tell whether it does.

        Raises:
            Exception: the error that ended the thread.
        """

        def holds() -> bool:
            if condition():
                return True
            self.check()
            return False

        return wait_until(holds, timeout_s)

    @abstractmethod
    def _run(self) -> None:
        """Do the work, and return soon after ``_stopped`` is set."""

    def _guard(self) -> None:
        try:
            self._run()
        except Exception as error:  # noqa: BLE001 - check() raises it, where somebody looks
            self.failure = error
