"""Reads Spark's progress events. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lib.encode.observation import DEAD_LETTERS, OBSERVATION, PREDICTIONS


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
        lag_records: the number of records up to the last stable offset of each partition that are
            not read yet; None if Spark does not know it.
        end_lag_records: the number up to the end of each partition, which also counts the records
            that wait for the end of an open transaction; None if it is not known.
    """

    batch_id: int
    records: int
    predictions: int
    dead_letters: int
    rate: float
    duration_ms: int
    lag_records: int | None
    end_lag_records: int | None = None

    @classmethod
    def from_event(
        cls,
        event: Mapping[str, Any],
        counts: MessageCounts | None = None,
        held_back: int | None = None,
    ) -> BatchProgress:
        """Read a ``StreamingQueryProgress``.

        Args:
            event: Spark's event as a JSON object.
            counts: the sink's counts; None to take those that Spark has observed.
            held_back: the number of records behind the last stable offsets; None if not known.
        """
        # Spark counts rows at each reading: a batch that is written in parts is read several times.
        read = int(event.get("numInputRows") or 0)
        rate = float(event.get("processedRowsPerSecond") or 0.0)
        if counts is None:
            counts = _read_observation(event)
        records = read
        if counts is not None:
            records = counts.predictions + counts.dead_letters
            rate = rate * records / read if read else 0.0
        else:
            counts = MessageCounts()
        lag = _sum_lag(event.get("sources") or [])
        return cls(
            batch_id=int(event["batchId"]),
            records=records,
            predictions=counts.predictions,
            dead_letters=counts.dead_letters,
            rate=rate,
            duration_ms=int((event.get("durationMs") or {}).get("triggerExecution") or 0),
            lag_records=lag,
            end_lag_records=None if lag is None or held_back is None else lag + held_back,
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


def find_observation(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Find the counts that Spark has observed, by their names; empty if the event has none."""
    found: Mapping[str, Any] = (event.get("observedMetrics") or {}).get(OBSERVATION) or {}
    return found


def _read_observation(event: Mapping[str, Any]) -> MessageCounts | None:
    """Read the counts that Spark has observed; None if the event has none."""
    observed = find_observation(event)
    if not observed:
        return None
    return MessageCounts(int(observed.get(PREDICTIONS) or 0), int(observed.get(DEAD_LETTERS) or 0))


def _sum_lag(sources: list[Mapping[str, Any]]) -> int | None:
    lags = [_lag(source) for source in sources]
    known = [lag for lag in lags if lag is not None]
    return sum(known) if known else None


def _lag(source: Mapping[str, Any]) -> int | None:
    """Count the records between the end of the batch and the end of the topic."""
    end, latest = read_offsets(source.get("endOffset")), read_offsets(source.get("latestOffset"))
    if end is None or latest is None:
        return None
    return sum(
        max(0, offset - end.get(topic, {}).get(partition, offset))
        for topic, partitions in latest.items()
        for partition, offset in partitions.items()
    )


def read_offsets(value: Any) -> dict[str, dict[str, int]] | None:
    """Read topic → partition → offset, which Spark gives as an object or as JSON text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return value if isinstance(value, dict) else None
