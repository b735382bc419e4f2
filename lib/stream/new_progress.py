"""The progress events of a running query, each once."""

from __future__ import annotations

import json
from typing import Any

from pyspark.sql.streaming.query import StreamingQuery


class NewProgress:
    """What a query has reported since one last asked.

    ``StreamingQuery.recentProgress`` makes JSON of the last hundred events each time, at several
    calls to the JVM each. Asked five times a second, that took a fifth of the time of the driver's
    main thread.

    Args:
        query: running or ended.
    """

    def __init__(self, query: StreamingQuery) -> None:
        self._query = query
        self._newest: tuple[int, str] | None = None

    def take(self) -> list[dict[str, Any]]:
        """Events that have not been taken yet, the oldest first, as Spark's JSON has them.

        Spark keeps a hundred, ``spark.sql.streaming.numRecentProgressUpdates``; older ones are
        lost to who asks too seldom.
        """
        kept = self._query._jsq.recentProgress()
        taken = []
        for index in reversed(range(len(kept))):
            event = kept[index]
            if (event.batchId(), event.timestamp()) == self._newest:
                break
            taken.append(json.loads(event.json()))
        if taken:
            self._newest = (taken[0]["batchId"], taken[0]["timestamp"])
        return taken[::-1]
