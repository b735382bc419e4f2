"""The page says in words whether the job is well, and what to do if it is not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from lib.messages.tally import BOUNDS_S, Tally, Waits
from lib.telemetry.brake import BrakeState
from lib.telemetry.figures import Figures, PartitionLag
from lib.telemetry.page.history import History, take_sample
from lib.telemetry.page.verdict import Level, judge, spell_time
from lib.telemetry.state import JobState, State
from tests.docs.documents import list_anchors
from tests.telemetry.page.filled import OUT, add_records, build_figures, build_running

NOW_S = 1_700_000_000.0


def fill(figures: Figures, minutes: int = 6) -> History:
    """Return the history of figures that did not change in some minutes."""
    history = History()
    for seconds in range(-60 * minutes, 1, 2):
        history.add(take_sample(figures, NOW_S + seconds, 10_000.0 + seconds))
    return history


def be_late(figures: Figures) -> None:
    figures.lag[0] = PartitionLag(500, 2_500, 2_500, NOW_S - 200)


def be_held_back(figures: Figures) -> None:
    figures.lag[0] = PartitionLag(500, 500, 540, NOW_S - 90)


def fall_back(figures: Figures) -> None:
    assert figures.model is not None
    figures.model = replace(figures.model, scored_by="m@3/sklearn", is_fallback=True)


def lose_brokers(figures: Figures) -> None:
    figures.outage_s = 75.0


def fall_short(figures: Figures) -> None:
    assert figures.outcomes is not None
    (quality,) = figures.outcomes.versions
    below = replace(quality, is_below=True)
    figures.outcomes = replace(figures.outcomes, versions=(below,))


def near_expiry(figures: Figures) -> None:
    figures.offsets_expire_s = NOW_S + 7_200


@pytest.mark.parametrize(
    ("change", "level", "words", "document"),
    [
        (lambda _: None, Level.WELL, "It is at work on the records that have come.", ""),
        (
            be_late,
            Level.LOOK,
            "It falls behind: 2,000 records wait, the oldest for 3 min 20 s.",
            "on_call.md#scoringlaggrows",
        ),
        (
            be_held_back,
            Level.LOOK,
            "40 records cannot be read yet: a transaction of their producer is open.",
            "on_call.md#scoringinputheldback",
        ),
        (
            fall_back,
            Level.LOOK,
            "A fallback scores: m@3/sklearn. Answers are right, and slower.",
            "on_call.md#scoringfallbackengine",
        ),
        (
            fall_short,
            Level.LOOK,
            "Predictions of m@3 are worse than in its training, as their outcomes show.",
            "on_call.md#scoringqualitylow",
        ),
        (
            lose_brokers,
            Level.ACT,
            "No broker has answered for 1 min 15 s.",
            "on_call.md#scoringbrokersaway",
        ),
        (
            near_expiry,
            Level.LOOK,
            "Brokers forget the positions of the job in 2 h.",
            "on_call.md#scoringoffsetsnearexpiry",
        ),
    ],
)
def test_figures_lead_to_a_sentence(
    change: Callable[[Figures], None], level: Level, words: str, document: str
) -> None:
    figures = build_figures(NOW_S)
    change(figures)

    found = judge(figures, build_running(), fill(figures), NOW_S)

    assert words in [it.words for it in found]
    named = next(it for it in found if it.words == words)
    assert (named.level, named.document) == (level, document)


@pytest.mark.parametrize(
    ("states", "level", "words"),
    [
        (
            [(State.STARTING, "waits for the model")],
            Level.WAIT,
            "It is starting and waits for the model.",
        ),
        (
            [(State.TAKING_OVER, "waits for Kafka")],
            Level.WAIT,
            "It is starting and waits for Kafka.",
        ),
        (
            [(State.RUNNING, ""), (State.RESTARTING, "a worker was lost")],
            Level.ACT,
            "The query has failed and is started again: a worker was lost.",
        ),
        (
            [(State.RUNNING, ""), (State.STUCK, "no task ends")],
            Level.ACT,
            "It is stuck: no task ends.",
        ),
        (
            [(State.RUNNING, ""), (State.STOPPING, "a signal")],
            Level.WAIT,
            "It is stopping: a signal.",
        ),
    ],
)
def test_states_lead_to_a_sentence(
    states: list[tuple[State, str]], level: Level, words: str
) -> None:
    job = JobState()
    for state, reason in states:
        job.enter(state, reason)

    [first, *_] = judge(Figures(), job, History(), time.time())

    assert (first.level, first.words) == (level, words)


def test_a_long_start_lacks_something() -> None:
    job = JobState()
    job.enter(State.STARTING, "answers of the brokers")

    [first, *_] = judge(Figures(), job, History(), time.time() + 301)

    assert (first.level, first.document) == (Level.ACT, "on_call.md#scoringnotready")


def test_a_main_thread_that_hangs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    job = build_running()
    job.beat()
    later_s = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later_s)

    [first, *_] = judge(build_figures(NOW_S), job, History(), NOW_S)

    assert first.level == Level.ACT
    assert first.words.startswith("It hangs")


def test_dead_letters_of_the_last_minutes_count_not_older_ones() -> None:
    figures = build_figures(NOW_S)
    quiet = judge(figures, build_running(), fill(figures), NOW_S)
    history = fill(figures)
    add_records(figures, 970, 30)
    history.add(take_sample(figures, NOW_S + 2, 10_002.0))

    found = judge(figures, build_running(), history, NOW_S + 2)

    assert [it.level for it in quiet] == [Level.WELL]
    assert found[0].words == "30 of the last 1,000 records became dead letters."


def test_answers_to_old_records_are_late() -> None:
    figures, history = build_figures(NOW_S), History()
    history.add(take_sample(figures, NOW_S, 0.0))
    counts = [0] * (len(BOUNDS_S) + 1)
    counts[BOUNDS_S.index(300.0)] = 100
    figures.add_tally(Tally({OUT: {"m@3/onnx\tYes": 100}}, Waits(tuple(counts), 20_000.0)), 0)
    history.add(take_sample(figures, NOW_S + 2, 2.0))

    [first, *_] = judge(figures, build_running(), history, NOW_S + 2)

    assert first.words == "Answers are late: 1 % of them by more than 4 min 58 s."
    assert first.document == "on_call.md#scoringlatencyhigh"


def test_a_few_dead_letters_among_few_records_are_no_finding() -> None:
    figures = build_figures(NOW_S)
    history = fill(figures)
    add_records(figures, 11, 9)
    history.add(take_sample(figures, NOW_S + 2, 10_002.0))

    assert [it.level for it in judge(figures, build_running(), history, NOW_S)] == [Level.WELL]


def test_restarts_and_another_job_are_told_for_a_while() -> None:
    figures, job = build_figures(NOW_S), build_running()
    job.enter(State.RESTARTING, "a worker was lost")
    job.enter(State.RUNNING)
    job.add("fenced", "another job has taken over")

    soon = judge(figures, job, History(), time.time())
    later = judge(figures, job, History(), time.time() + 901)

    assert [it.words for it in soon[:2]] == [
        "Another job of the same query name has taken over.",
        "The query has failed once in the last 15 min.",
    ]
    assert [it.level for it in later] == [Level.WELL]


def test_the_brake_is_told_whether_it_stops_or_not() -> None:
    figures, job = build_figures(NOW_S), build_running()
    figures.brake = BrakeState(0.254, 0.2, 1_000, stops=False, is_engaged=True)

    (alerting, *_) = judge(figures, job, History(), NOW_S)
    job.enter(State.STOPPING, "254 of 1,000 records in a row are dead letters")
    (stopping,) = judge(figures, job, History(), NOW_S)
    figures.brake = BrakeState(0.1, 0.2, 1_000, stops=False, is_engaged=False)
    (ordinary,) = judge(figures, job, History(), NOW_S)

    assert (alerting.level, alerting.words) == (
        Level.ACT,
        "The brake finds too many dead letters, 25.4% of the last 1,000; it allows 20.0%.",
    )
    assert (stopping.level, stopping.words) == (
        Level.ACT,
        "The brake has stopped it: 254 of 1,000 records in a row are dead letters.",
    )
    assert ordinary.level is Level.WAIT


def test_each_finding_leads_to_a_heading_of_the_documents() -> None:
    figures = build_figures(NOW_S)
    for change in (be_late, be_held_back, fall_back, lose_brokers, near_expiry):
        change(figures)
    job = build_running()
    job.enter(State.RESTARTING)
    job.add("fenced", "")
    found = judge(figures, job, fill(figures), NOW_S)
    figures.outage_s = 0.0
    job.enter(State.STUCK)
    found += judge(figures, job, fill(figures), NOW_S)
    job.enter(State.STOPPING)
    found += judge(figures, job, fill(figures), NOW_S)
    figures.brake = BrakeState(0.3, 0.2, 1_000, stops=True, is_engaged=True)
    found += judge(figures, job, fill(figures), NOW_S)

    documents = {it.document for it in found if it.document}

    assert len(documents) >= 8
    for document in documents:
        name, _, anchor = document.partition("#")
        assert anchor in list_anchors(f"docs/{name}"), document


@pytest.mark.parametrize(
    ("seconds", "spelled"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3_600, "1 h"),
        (15_120, "4 h 12 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_times_have_two_units_at_most(seconds: float, spelled: str) -> None:
    assert spell_time(seconds) == spelled
