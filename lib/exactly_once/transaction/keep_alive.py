"""A thread that says that a run is alive while it has nothing else to say."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from lib.errors import SinkError, SinkFencedError

logger = logging.getLogger(__name__)

_END_TIMEOUT_S = 5.0


class KeepAlive:
    """Calls a function again and again, until it is told to end or another run has taken over.

    Args:
        act: commits what has to be committed by now, if anything has.
        every_s: between two calls.
        on_fenced: told, once, that another run has taken over.
    """

    def __init__(
        self,
        act: Callable[[], None],
        every_s: float,
        on_fenced: Callable[[SinkFencedError], object] = lambda error: None,
    ) -> None:
        self._act = act
        self._every_s = every_s
        self._on_fenced = on_fenced
        self._is_ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keep-alive", daemon=True)

    def start(self) -> None:
        """Begin; the first call comes after one interval."""
        self._thread.start()

    def end(self) -> None:
        """No further calls. Waits for one under way, but not for long."""
        self._is_ended.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(_END_TIMEOUT_S)

    def _run(self) -> None:
        while not self._is_ended.wait(self._every_s):
            try:
                self._act()
            except SinkFencedError as error:
                if not self._is_ended.is_set():
                    self._on_fenced(error)
                return
            except SinkError as error:
                # The next batch meets it too, and says so.
                logger.info("not kept alive: %s", error.message)
