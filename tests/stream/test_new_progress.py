"""Each progress event is taken once, at a cost that does not grow with the events Spark keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from lib.stream.new_progress import NewProgress

BATCHES = 12


@pytest.fixture
def start(spark: SparkSession, tmp_path: Path) -> Callable[[], StreamingQuery]:
    """Return a function that starts a query, which reads one file per batch and ends."""
    for number in range(BATCHES):
        (tmp_path / f"{number}.txt").write_text("a record\n")
    source = spark.readStream.option("maxFilesPerTrigger", 1).text(str(tmp_path))
    return source.writeStream.format("noop").trigger(availableNow=True).start


def list_batches(events: list[dict[str, Any]]) -> list[int]:
    return [event["batchId"] for event in events if event["numInputRows"]]


def test_events_are_taken_once_and_in_order_while_the_query_runs(
    start: Callable[[], StreamingQuery],
) -> None:
    query = start()
    new = NewProgress(query)
    taken = []
    while query.isActive:
        taken.append(new.take())
    taken.append(new.take())

    events = [event for some in taken for event in some]
    assert list_batches(events) == list(range(BATCHES))
    assert [event["timestamp"] for event in events] == [it.timestamp for it in query.recentProgress]
    assert sum(bool(some) for some in taken) > 1, "all of it came at once: this showed nothing"
    assert new.take() == []


def test_asking_costs_few_calls_however_many_events_are_kept(
    spark: SparkSession, start: Callable[[], StreamingQuery], monkeypatch: pytest.MonkeyPatch
) -> None:
    query = start()
    assert query.awaitTermination(60)
    new = NewProgress(query)
    assert list_batches(new.take()) == list(range(BATCHES))
    gateway: Any = spark.sparkContext._gateway
    client = gateway._gateway_client
    calls = []
    send = client.send_command

    def count(command: str, *arguments: Any, **options: Any) -> Any:
        calls.append(command)
        return send(command, *arguments, **options)

    monkeypatch.setattr(client, "send_command", count)

    assert new.take() == []
    assert 0 < len(calls) < BATCHES
