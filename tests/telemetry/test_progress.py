from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from lib.telemetry.console import LiveView, PlainView, build_view, format_batch, format_totals
from lib.telemetry.progress import BatchProgress, MessageCounts, Totals
from tests.support.waiting import wait_until

# A real query sent this event; it is shortened here.
EVENT: dict[str, Any] = {
    "batchId": 7,
    "numInputRows": 20000,
    "processedRowsPerSecond": 4119.5,
    "durationMs": {"addBatch": 3931, "triggerExecution": 4853},
    "sources": [
        {
            "startOffset": None,
            "endOffset": {"in": {"0": 100, "1": 100}},
            "latestOffset": {"in": {"0": 150, "1": 130}},
        }
    ],
    "observedMetrics": {"messages": {"predictions": 19600, "dead_letters": 400}},
}
BATCH = BatchProgress(7, 20000, 19600, 400, 4119.5, 4853, 80)


def test_an_event_is_read() -> None:
    assert BatchProgress.from_event(EVENT) == BATCH


def test_a_batch_that_is_read_several_times_counts_its_records_once() -> None:
    """Spark counts each reading: a batch that is written in parts is read once for each part."""
    event = {**EVENT, "numInputRows": 80000, "processedRowsPerSecond": 16478.0}

    batch = BatchProgress.from_event(event, MessageCounts(19600, 400))

    assert (batch.records, batch.rate) == (20000, 4119.5)


def test_spark_counts_messages_where_no_sink_does_and_each_is_a_record() -> None:
    """A plan may read its source twice, which Spark counts twice: 44 records instead of 22."""
    observed = {"observedMetrics": {"messages": {"predictions": 20, "dead_letters": 2}}}

    batch = BatchProgress.from_event(
        {**EVENT, **observed, "numInputRows": 44, "processedRowsPerSecond": 88.0}
    )

    assert (batch.records, batch.predictions, batch.dead_letters) == (22, 20, 2)
    assert batch.rate == 44.0


def test_the_lag_to_the_end_counts_what_waits_behind_open_transactions() -> None:
    batch = BatchProgress.from_event(EVENT, None, 120)

    assert (batch.lag_records, batch.end_lag_records) == (80, 200)
    assert BatchProgress.from_event({**EVENT, "sources": []}, None, 120).end_lag_records is None


def test_offsets_may_come_as_text() -> None:
    source = {"endOffset": '{"in":{"0":5}}', "latestOffset": '{"in":{"0":9,"1":4}}'}

    # A partition that is new to the source has no end yet; it counts from the next batch on.
    assert BatchProgress.from_event({**EVENT, "sources": [source]}).lag_records == 4


@pytest.mark.parametrize("sources", [[], [{"endOffset": None, "latestOffset": None}], [{}]])
def test_unknown_lag_is_none(sources: list[Any]) -> None:
    assert BatchProgress.from_event({**EVENT, "sources": sources}).lag_records is None


def test_an_empty_batch_has_no_observations() -> None:
    batch = BatchProgress.from_event({"batchId": 1, "observedMetrics": {}})

    assert (batch.records, batch.predictions, batch.dead_letters, batch.rate) == (0, 0, 0, 0.0)


def test_totals_add_up() -> None:
    assert Totals().add(BATCH).add(BATCH) == Totals(2, 40000, 39200, 800)


def test_the_line_has_rate_lag_time_and_counts() -> None:
    assert format_batch(BATCH, Totals().add(BATCH)) == (
        "batch 7: 20,000 records in 4,853 ms | 4,120/s | lag 80, to the end unknown"
        " | predictions 19,600 | dead letters 400"
    )
    hanging = replace(BATCH, lag_records=0, end_lag_records=1_200)
    assert " | lag 0, to the end 1,200 | " in format_batch(hanging, Totals())


def test_plain_lines_are_few_and_end_with_totals() -> None:
    stream = io.StringIO()
    view, totals = PlainView(stream), Totals()
    for _ in range(100):
        totals = totals.add(BATCH)
        view.show(BATCH, totals)
    view.close(totals)

    lines = stream.getvalue().splitlines()
    assert len(lines) == 3  # the first, the last, the totals
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d batch 7: 20,000 records in ", lines[0])
    assert lines[1].endswith("dead letters 40,000")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (.*)", lines[-1])
    assert lines[-1].endswith(f" {format_totals(totals)}")


def test_json_has_the_numbers_of_the_line_as_fields() -> None:
    stream = io.StringIO()
    view = build_view(stream, "/dev/null", "json")
    totals = Totals().add(BATCH).add(BATCH)
    view.show(BATCH, totals)
    view.close(totals)

    batch, end = (json.loads(line) for line in stream.getvalue().splitlines())
    for line in (batch, end):
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert batch == {
        "level": "INFO",
        "logger": "lib.progress",
        "message": format_batch(BATCH, totals),
        "batch": 7,
        "records": 20000,
        "duration_ms": 4853,
        "rate": 4119.5,
        "lag_records": 80,
        "end_lag_records": None,
        "predictions": 39200,
        "dead_letters": 800,
    }
    assert end == {
        "level": "INFO",
        "logger": "lib.progress",
        "message": "stopped after 2 batches: 40,000 records, 39,200 predictions, 800 dead letters",
        "batches": 2,
        "records": 40000,
        "predictions": 39200,
        "dead_letters": 800,
    }


def test_the_last_batch_of_a_burst_is_shown_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else comes after it: the line must not stay behind the truth."""
    monkeypatch.setattr("lib.telemetry.console._PLAIN_INTERVAL_S", 0.3)
    stream = io.StringIO()
    view, totals = PlainView(stream), Totals()
    for _ in range(3):
        totals = totals.add(BATCH)
        view.show(BATCH, totals)
    assert len(stream.getvalue().splitlines()) == 1

    wait_until(lambda: len(stream.getvalue().splitlines()) == 2)

    assert stream.getvalue().splitlines()[1].endswith("predictions 58,800 | dead letters 1,200")
    view.close(totals)
    assert len(stream.getvalue().splitlines()) == 3


def test_a_terminal_gets_a_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = io.StringIO()
    view = LiveView(Console(file=stream, force_terminal=True, width=120))
    view.show(BATCH, Totals().add(BATCH))
    view.close(Totals().add(BATCH))

    assert "4,120/s" in stream.getvalue()
    assert "stopped after 1 batches: 20,000 records" in stream.getvalue()


def test_the_view_fits_the_stream() -> None:
    assert isinstance(build_view(io.StringIO()), PlainView)


@pytest.mark.parametrize(("kind", "view"), [("xterm", LiveView), ("dumb", PlainView)])
def test_a_terminal_that_cannot_move_its_cursor_gets_lines(
    monkeypatch: pytest.MonkeyPatch, kind: str, view: type
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", kind)
    built = build_view(Terminal())
    built.close(Totals())

    assert isinstance(built, view)
