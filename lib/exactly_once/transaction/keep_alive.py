"""A thread that commits again and again, so that an idle run is seen to be alive."""

from __future__ import annotations

import logging
from collections.abc import Callable

from lib.background import Background
from lib.errors import SinkError, SinkFencedError

logger = logging.getLogger(__name__)

_END_TIMEOUT_S = 5.0


class KeepAlive(Background):
    """Calls a function again and again, until it is told to end or another run has taken over.

    Args:
        act: a function that commits what has to be committed by now, if anything has.
        every_s: the pause between two calls; the first one comes after it.
        on_fenced: a function that is called once, when another run has taken over.
    """

    def __init__(
        self,
        act: Callable[[], None],
        every_s: float,
        on_fenced: Callable[[SinkFencedError], object] = lambda error: None,
    ) -> None:
        super().__init__("keep-alive", _END_TIMEOUT_S)
        self._act = act
        self._every_s = every_s
        self._on_fenced = on_fenced

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            try:
                self._act()
            except SinkFencedError as error:
                if not self._stopped.is_set():
                    self._on_fenced(error)
                return
            except SinkError as error:
                # The next batch meets the same error, and reports it.
                logger.info("not kept alive: %s", error.message)
            except Exception:
                logger.exception("no longer kept alive")
                raise
