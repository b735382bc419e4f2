"""A stop is noticed at any time, says what it waits for, and ends in time."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

import pytest

from lib.stream.watch.stop_signal import StopSignal
from tests.support.waiting import wait_until


class End:
    """A function that notes how the process would have ended."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, bool]] = []

    def __call__(self, code: int, *, with_jvm: bool = True) -> None:
        self.calls.append((code, with_jvm))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_before_the_query_runs_a_signal_ends_the_process_at_once(
    number: signal.Signals, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    end = End()
    with StopSignal(end=end):
        os.kill(os.getpid(), number)
        wait_until(lambda: bool(end.calls))

    assert end.calls == [(code, False)]
    assert [record.message for record in caplog.records] == [
        f"{number.name}: the query does not run yet, ending at once"
    ]


def test_later_a_signal_is_a_request_that_names_what_it_waits_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    end = End()
    with StopSignal(end=None) as stop, stop.working_on("the batch under way"):
        assert not stop.is_requested
        assert stop.patience_left_s == 60.0
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(60)
        wait_until(lambda: bool(caplog.records))
        assert 0 < stop.patience_left_s <= 60.0

    assert end.calls == []
    assert [record.message for record in caplog.records] == [
        "SIGTERM: stopping, waiting for the batch under way"
    ]


def test_what_would_not_notice_is_told_to_give_up() -> None:
    given_up = threading.Event()
    with StopSignal() as stop, stop.working_on("Kafka", given_up.set):
        stop.request("SIGTERM")
        assert given_up.wait(60)


def test_only_what_is_being_done_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    given_up = threading.Event()
    with StopSignal() as stop, stop.working_on("a batch"):
        with stop.working_on("Kafka", given_up.set):
            pass
        stop.request("SIGTERM")
        wait_until(lambda: bool(caplog.records))
    assert not given_up.is_set()


def test_a_query_that_was_started_is_the_work_until_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with StopSignal() as stop:
        with suppress(ValueError), stop.working_on("Kafka", then="the batch under way"):
            raise ValueError
        assert stop._work is None
        with stop.working_on("Kafka", then="the batch under way"):
            pass
        stop.request("SIGTERM")
        wait_until(lambda: bool(caplog.records))
        stop.end_work()
        assert stop._work is None
    assert caplog.messages == ["SIGTERM: stopping, waiting for the batch under way"]


def test_a_stop_that_hangs_ends_the_process_and_its_jvm(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("lib.stream.watch.stop_signal._CLOSING_S", 0.6)
    monkeypatch.setattr("lib.stream.watch.stop_signal._FIRST_REMINDER_S", 0.1)
    end = End()
    with StopSignal(0.1, end) as stop, stop.working_on("the batch under way"):
        stop.request("SIGTERM")
    # The block is over, so what hangs is the end of Spark.
    wait_until(lambda: bool(end.calls))

    assert end.calls == [(143, True)]
    lines = [record.message for record in caplog.records]
    assert lines[0] == "SIGTERM: stopping, waiting for the batch under way"
    assert "SIGTERM: waiting for Spark to end, since 0 s" in lines
    assert lines[-1] == "SIGTERM: ending at once, after 1 s"


def test_without_a_signal_nothing_ends_and_the_handlers_are_those_from_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    end = End()
    with StopSignal(0.0, end) as stop, stop.working_on("a batch"):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    assert end.calls == []
