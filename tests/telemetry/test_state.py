"""The state of the job says what it does, since when and why."""

from __future__ import annotations

import time

import pytest

from lib.telemetry.state import JobState, State


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Provide the time in seconds, which tests set."""
    now = [1_000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_state_begins_when_it_is_entered_and_keeps_its_newest_reason(clock: list[float]) -> None:
    job = JobState()
    job.enter(State.STARTING, "waits for the model")
    clock[0] = 1_005.0
    job.enter(State.STARTING, "waits for Spark's session")
    clock[0] = 1_007.0

    status = job.status

    assert (status.state, status.reason, status.since_s) == (
        *(State.STARTING, "waits for Spark's session", 1_000.0),
    )
    assert not status.is_ready
    assert status.is_live


def test_each_change_of_the_state_is_an_event_and_a_repeated_one_is_none(
    clock: list[float],
) -> None:
    job = JobState()
    for at_s, state, reason in (
        (1.0, State.STARTING, "waits for the model"),
        (2.0, State.RUNNING, ""),
        (3.0, State.RUNNING, ""),
        (4.0, State.STUCK, "waits for brokers"),
        (5.0, State.STUCK, "waits for brokers, still"),
        (6.0, State.RUNNING, ""),
    ):
        clock[0] = at_s
        job.enter(state, reason)
    clock[0] = 7.0
    job.add("model", "churn@2/onnx scores")

    assert [(it.at_s, it.kind, it.text) for it in job.events] == [
        (1.0, "starting", "waits for the model"),
        (2.0, "running", ""),
        (4.0, "stuck", "waits for brokers"),
        (6.0, "running", ""),
        (7.0, "model", "churn@2/onnx scores"),
    ]


def test_a_job_that_stops_goes_on_stopping() -> None:
    job = JobState()
    job.enter(State.RUNNING)
    job.enter(State.STOPPING, "a signal asked for it")
    job.enter(State.RUNNING)

    assert (job.status.state, job.status.is_ready) == (State.STOPPING, False)


@pytest.mark.parametrize(
    ("state", "silent_s", "is_ready", "is_live"),
    [
        (State.RUNNING, 59.0, True, True),
        (State.RUNNING, 61.0, False, False),
        (State.STUCK, 59.0, False, True),
        (State.STUCK, 61.0, False, False),
        # A start, a restart and a stop do not look after a query, and have limits of their own.
        (State.TAKING_OVER, 3_600.0, False, True),
        (State.RESTARTING, 3_600.0, False, True),
        (State.STOPPING, 3_600.0, False, True),
    ],
)
def test_a_main_thread_that_hangs_is_not_live(
    clock: list[float], state: State, silent_s: float, is_ready: bool, is_live: bool
) -> None:
    job = JobState()
    job.enter(State.RUNNING)
    job.beat()
    job.enter(state)
    clock[0] += silent_s

    assert (job.status.is_ready, job.status.is_live) == (is_ready, is_live)


def test_only_the_newest_events_are_kept() -> None:
    job = JobState()
    for number in range(250):
        job.add("failure", str(number))

    assert [job.events[0].text, job.events[-1].text, len(job.events)] == ["50", "249", 200]
