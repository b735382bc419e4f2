"""Takes a model's bytes from the driver to the executors, whose workers open it once.

It imports nothing that a worker may not need, because each worker imports it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from pyspark import Broadcast, SparkContext

T = TypeVar("T")

# A model that was not asked for as long as this is forgotten when another one is opened.
_UNUSED_S = 60.0


@dataclass
class _Opened:
    """A model, and the time at which it was asked for last, by ``time.monotonic``."""

    model: Any
    used_s: float


# Sha256 of the bytes → what this process has built of them.
_OPENED: dict[str, _Opened] = {}


class SharedContent:
    """Bytes that are broadcast once for each Spark context. Keep it as long as frames use it.

    Attributes:
        sha256: the sha256 of the bytes, which is their name in the workers.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.sha256 = hashlib.sha256(content).hexdigest()
        self._context: SparkContext | None = None
        self._broadcast: Broadcast[bytes] | None = None

    def broadcast(self, context: SparkContext) -> Broadcast[bytes]:
        """Broadcast the bytes to this context's executors."""
        if self._broadcast is None or self._context is not context:
            self._context, self._broadcast = context, context.broadcast(self._content)
        return self._broadcast


def open_once(sha256: str, build: Callable[[], T]) -> T:
    """Return the result of ``build`` for the content with this checksum, made once a process.

    A version that another one has replaced is forgotten when the next one is opened, so that a
    worker which lives for months does not hold all of them.
    """
    now_s = time.monotonic()
    opened = _OPENED.get(sha256)
    if opened is None:
        for key in [key for key, it in _OPENED.items() if now_s - it.used_s > _UNUSED_S]:
            del _OPENED[key]
        opened = _OPENED[sha256] = _Opened(build(), now_s)
    opened.used_s = now_s
    return cast(T, opened.model)
