"""Takes a model's bytes from the driver to the executors, whose workers open it once.

It imports nothing that a worker may not need, because each worker imports it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from pyspark import Broadcast, SparkContext

T = TypeVar("T")

# Sha256 of the bytes → model in this process. A worker serves one query, seldom two.
_MODELS: dict[str, Any] = {}


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
    """Return the result of ``build`` for the content with this checksum, made once a process."""
    if sha256 not in _MODELS:
        _MODELS[sha256] = build()
    return cast(T, _MODELS[sha256])
