"""Reads Spark's progress events. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# The name of the observation that counts messages if no sink does; see lib.stream.start.
OBSERVATION = "messages"


@dataclass(frozen=True)
class MessageCounts:
    """The messages of one micro-batch.

    Attributes:
        predictions, dead_letters: the numbers of messages, with those that an earlier run wrote.
    """

    predictions: int = 0
    dead_letters: int = 0


@dataclass(frozen=True)
class BatchProgress:
    """One micro-batch.

    Attributes:
        batch_id: Spark's number of the batch.
        records: the number of records that were answered.
        predictions, dead_letters: see :class:`MessageCounts`.
        rate: records per second; 0 for an empty batch.
        duration_ms: the milliseconds from trigger to commit.
        lag_records: the number of records in the topic that are not read yet; None if Spark does
            not know it.
    """

    batch_id: int
    records: int
    predictions: int
    dead_letters: int
    rate: float
    duration_ms: int
    lag_records: int | None

    @classmethod
    def from_event(
        cls, event: Mapping[str, Any], counts: MessageCounts | None = None
    ) -> BatchProgress:
        """Read a ``StreamingQueryProgress``.

        Args:
            event: Spark's event as a JSON object.
            counts: the sink's counts; None to take those that Spark has observed.
        """
        # Spark counts rows at each reading: a batch that is written in parts is read several times.
        read = int(event.get("numInputRows") or 0)
        rate = float(event.get("processedRowsPerSecond") or 0.0)
        if counts is None:
            counts = _read_observation((event.get("observedMetrics") or {}).get(OBSERVATION) or {})
            records = read
        else:
            records = counts.predictions + counts.dead_letters
            rate = rate * records / read if read else 0.0
        sources = event.get("sources") or []
        return cls(
            batch_id=int(event["batchId"]),
            records=records,
            predictions=counts.predictions,
            dead_letters=counts.dead_letters,
            rate=rate,
            duration_ms=int((event.get("durationMs") or {}).get("triggerExecution") or 0),
            lag_records=_sum_lag(sources),
        )


@dataclass(frozen=True)
class Totals:
    """The sums over all batches since the start of this process."""

    batches: int = 0
    records: int = 0
    predictions: int = 0
    dead_letters: int = 0

    def add(self, batch: BatchProgress) -> Totals:
        """Return the totals with one more batch."""
        return Totals(
            self.batches + 1,
            self.records + batch.records,
            self.predictions + batch.predictions,
            self.dead_letters + batch.dead_letters,
        )


def _read_observation(observed: Mapping[str, Any]) -> MessageCounts:
    return MessageCounts(
        int(observed.get("predictions") or 0), int(observed.get("dead_letters") or 0)
    )


def _sum_lag(sources: list[Mapping[str, Any]]) -> int | None:
    lags = [_lag(source) for source in sources]
    known = [lag for lag in lags if lag is not None]
    return sum(known) if known else None


def _lag(source: Mapping[str, Any]) -> int | None:
    """Count the records between the end of the batch and the end of the topic."""
    end, latest = _offsets(source.get("endOffset")), _offsets(source.get("latestOffset"))
    if end is None or latest is None:
        return None
    return sum(
        max(0, offset - end.get(topic, {}).get(partition, offset))
        for topic, partitions in latest.items()
        for partition, offset in partitions.items()
    )


def _offsets(value: Any) -> dict[str, dict[str, int]] | None:
    """Read topic → partition → offset, which Spark gives as an object or as JSON text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return value if isinstance(value, dict) else None
