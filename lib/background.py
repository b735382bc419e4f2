"""Work on a thread of its own, for as long as a ``with`` block lasts."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

_POLL_S = 0.05


class Background(ABC):
    """A thread that runs :meth:`_run` until the block ends; what ends it earlier is kept.

    Args:
        name: of the thread.
        patience_s: how long the block's end waits for the thread; None for as long as it takes.

    Attributes:
        failure: what ended it before it was told to; None if nothing did.
    """

    def __init__(self, name: str, patience_s: float | None = None) -> None:
        self.failure: Exception | None = None
        self._patience_s = patience_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._guard, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join(self._patience_s)

    def check(self) -> None:
        """Raise what ended the thread."""
        if self.failure is not None:
            raise self.failure

    def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a condition holds, and tell whether it does.

        Raises:
            Exception: whatever ended the thread.
        """
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            self.check()
            if time.monotonic() > deadline_s:
                return False
            time.sleep(_POLL_S)
        return True

    @abstractmethod
    def _run(self) -> None:
        """The work; ends soon after ``_stopped`` is set."""

    def _guard(self) -> None:
        try:
            self._run()
        except Exception as error:  # noqa: BLE001 - check() raises it, where somebody looks
            self.failure = error
