"""Reads the progress events of a running query, each once."""

from __future__ import annotations

import json
from typing import Any

from pyspark.sql.streaming.query import StreamingQuery


class NewProgress:
    """The progress events of a query that have not been taken yet.

    ``StreamingQuery.recentProgress`` makes JSON of the last hundred events each time, with several
    calls to the JVM for each. Five times a second, that took a fifth of the time of the driver's
    main thread.

    Args:
        query: the query, which may have ended.
    """

    def __init__(self, query: StreamingQuery) -> None:
        self._query = query
        self._newest: tuple[int, str] | None = None

    def take(self) -> list[dict[str, Any]]:
        """Take the new events, the oldest first, as JSON objects.

        Spark keeps a hundred of them (``spark.sql.streaming.numRecentProgressUpdates``); older
        events are lost if this is called too seldom.
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
