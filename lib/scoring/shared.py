"""A model's bytes on the driver and, as a broadcast, on the executors."""

from __future__ import annotations

import hashlib

from pyspark import Broadcast, SparkContext


class SharedContent:
    """Bytes, broadcast once for each Spark context. Keep it as long as frames use it.

    Attributes:
        sha256: of the bytes; names them in the workers.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.sha256 = hashlib.sha256(content).hexdigest()
        self._context: SparkContext | None = None
        self._broadcast: Broadcast[bytes] | None = None

    def broadcast(self, context: SparkContext) -> Broadcast[bytes]:
        """The bytes on this context's executors."""
        if self._broadcast is None or self._context is not context:
            self._context, self._broadcast = context, context.broadcast(self._content)
        return self._broadcast
