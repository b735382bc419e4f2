"""Says in words whether the job is well, and what to do if it is not. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from lib.telemetry.figures import Figures
from lib.telemetry.page.history import History
from lib.telemetry.state import JobState, State, Status

# A younger backlog, and a shorter wait for an answer, are the ordinary work of a batch.
_LATE_S = 60.0
# The lag and the dead letters of this time are looked at.
_RECENT_S = 300.0
_MAX_DEAD_LETTER_SHARE = 0.01
_FEW_DEAD_LETTERS = 10
_RESTARTS_COUNT_FOR_S = 900.0
# A start that takes longer waits for something that it lacks.
_LONG_START_S = 300.0
_EXPIRY_NEAR_S = 86_400.0


class Level(StrEnum):
    """The urgency of a finding."""

    WELL = "well"
    WAIT = "wait"  # it is under way to being well, or to its end
    LOOK = "look"  # it works, but somebody has to look
    ACT = "act"  # it does not work


@dataclass(frozen=True)
class Finding:
    """One thing to say about the job.

    Attributes:
        level: the urgency.
        words: one sentence that says what is so.
        advice: one sentence that says what to do; empty where there is nothing to do.
        document: the file and the heading of the documents that say more; empty for none.
    """

    level: Level
    words: str
    advice: str = ""
    document: str = ""


def judge(figures: Figures, job: JobState, history: History, now_s: float) -> list[Finding]:
    """Return all findings, the most urgent first; the first one is the answer.

    Args:
        figures: the figures of the process.
        job: the state and the events.
        history: the points of the last hour.
        now_s: the present time in seconds since 1970.
    """
    order = list(Level)
    with figures.reading():
        status = job.status
        found = [*_judge_state(status, figures, now_s)]
        if status.state is not State.STOPPING:
            found += _judge_work(figures, history, now_s)
            found += _judge_past(job, now_s)
        if not any(it.level in (Level.ACT, Level.WAIT) for it in found):
            found.append(_describe_work(figures, history))
    return sorted(found, key=lambda it: -order.index(it.level))


def _judge_state(status: Status, figures: Figures, now_s: float) -> Iterator[Finding]:
    reason, waits_s = _join_reason(status.reason), now_s - status.since_s
    if not status.is_live:
        yield Finding(
            Level.ACT,
            "It hangs: its main thread has not looked at the query for more than a minute.",
            "End the process and start it again; it resumes where it was.",
            "restarts.md#a-batch-that-hangs",
        )
    elif figures.outage_s > 0:
        yield Finding(
            Level.ACT,
            f"No broker has answered for {spell_time(figures.outage_s)}.",
            "See to the brokers and the network; the job waits and goes on by itself.",
            "on_call.md#scoringbrokersaway",
        )
    elif status.state is State.STUCK:
        yield Finding(
            Level.ACT,
            f"It is stuck{reason}.",
            "The job gives the batch up after --batch-timeout and tries it again by itself.",
            "restarts.md#a-batch-that-hangs",
        )
    elif status.state in (State.STARTING, State.TAKING_OVER):
        if waits_s > _LONG_START_S:
            advice = "It lacks what it waits for; see that this is there."
            document = "on_call.md#scoringnotready"
            yield Finding(Level.ACT, f"It is starting{reason}.", advice, document)
        else:
            advice = "A start takes up to a minute."
            yield Finding(Level.WAIT, f"It is starting{reason}.", advice)
    elif status.state is State.RESTARTING:
        yield Finding(
            Level.ACT,
            f"The query has failed and is started again{reason}.",
            "The job tries again by itself; look for the cause.",
            "on_call.md#scoringrestarts",
        )
    elif status.state is State.STOPPING and figures.brake is not None and figures.brake.is_engaged:
        yield Finding(
            Level.ACT,
            f"The brake has stopped it{reason}.",
            "Nothing is lost; correct the cause, or accept the dead letters for one start.",
            "on_call.md#scoringbrake",
        )
    elif status.state is State.STOPPING:
        yield Finding(
            Level.WAIT,
            f"It is stopping{reason}.",
            "The next start resumes after the batch that was written last.",
            "restarts.md#time-to-stop",
        )


def _join_reason(reason: str) -> str:
    """Make the end of a sentence of a reason, which may be a phrase that begins with a verb."""
    reason = reason.rstrip(". ")
    if not reason:
        return ""
    return f" and {reason}" if reason.startswith("waits for ") else f": {reason}"


def _judge_work(figures: Figures, history: History, now_s: float) -> Iterator[Finding]:
    newest, earlier = history.newest, history.find_before(_RECENT_S)
    if newest is not None and earlier is not None:
        lag, before = newest.lag_records, earlier.lag_records
        is_late = newest.lag_s is not None and newest.lag_s > _LATE_S
        if is_late and lag is not None and before is not None and lag >= before:
            yield Finding(
                Level.LOOK,
                f"It falls behind: {lag:,} records wait, the oldest for"
                f" {spell_time(newest.lag_s or 0)}.",
                "See whether one partition is late, or all of them.",
                "on_call.md#scoringlaggrows",
            )
        elif newest.p99_s is not None and newest.p99_s > _LATE_S:
            yield Finding(
                Level.LOOK,
                f"Answers are late: 1 % of them by more than {spell_time(newest.p99_s)}.",
                "See whether a backlog is being worked off, or the records come late.",
                "on_call.md#scoringlatencyhigh",
            )
        records = newest.records - earlier.records
        letters = newest.dead_letters - earlier.dead_letters
        if letters >= _FEW_DEAD_LETTERS and letters > _MAX_DEAD_LETTER_SHARE * records:
            yield Finding(
                Level.LOOK,
                f"{letters:,} of the last {records:,} records became dead letters.",
                "See below which rule and field; the producer may have changed.",
                "on_call.md#scoringdeadletters",
            )
        errors = newest.shadow_errors - earlier.shadow_errors
        if errors >= _FEW_DEAD_LETTERS and errors > _MAX_DEAD_LETTER_SHARE * records:
            yield Finding(
                Level.LOOK,
                f"Shadows gave no answer {errors:,} times in the last {records:,} records; the"
                " champion's answers are not concerned.",
                "See below which shadow, and with which error.",
                "on_call.md#scoringshadowerrors",
            )
    brake = figures.brake
    if brake is not None and brake.is_engaged:
        share = "" if brake.share is None else f", {brake.share:.1%} of the last {brake.over:,}"
        yield Finding(
            Level.ACT,
            f"The brake finds too many dead letters{share}; it allows {brake.limit:.1%}.",
            "See below which rule and field; the producer may have changed.",
            "on_call.md#scoringbrake",
        )
    held_back = [
        lag
        for lag in figures.lag.values()
        if lag.end > lag.stable and (lag.find_age_s(now_s) or 0) > _LATE_S
    ]
    if held_back:
        yield Finding(
            Level.LOOK,
            f"{sum(lag.end - lag.stable for lag in held_back):,} records cannot be read yet: a"
            " transaction of their producer is open.",
            "Find the producer that neither commits nor aborts.",
            "on_call.md#scoringinputheldback",
        )
    if figures.model is not None and figures.model.is_fallback:
        yield Finding(
            Level.LOOK,
            f"A fallback scores: {figures.model.scored_by}. Answers are right, and slower.",
            "The log's line “not used, falling back” names the cause.",
            "on_call.md#scoringfallbackengine",
        )
    if figures.refusal is not None and figures.model is not None:
        yield Finding(
            Level.LOOK,
            f"The champion {figures.refusal.model} is refused, and {figures.model.scored_by} goes"
            f" on scoring: {figures.refusal.reason}.",
            "Mend or replace that version, or go back to the one before.",
            "on_call.md#scoringmodelrefused",
        )
    drifted = [it for it in figures.drift.found if it.is_over] if figures.drift else []
    if drifted:
        yield Finding(
            Level.LOOK,
            f"{drifted[0].subject} has drifted from the training data: PSI {drifted[0].psi:.2f},"
            f" limit {drifted[0].limit:.2f}"
            + (f"; and {len(drifted) - 1} more." if len(drifted) > 1 else "."),
            "See below how far; the producer or the world may have changed.",
            "on_call.md#scoringdrift",
        )
    for quality in () if figures.outcomes is None else figures.outcomes.versions:
        if quality.is_below:
            yield Finding(
                Level.LOOK,
                f"Predictions of {quality.version} are worse than in its training, as their"
                " outcomes show.",
                "See whether the records have changed, and train anew.",
                "on_call.md#scoringqualitylow",
            )
    if figures.offsets_expire_s is not None and figures.offsets_expire_s - now_s < _EXPIRY_NEAR_S:
        yield Finding(
            Level.LOOK,
            "Brokers forget the positions of the job in"
            f" {spell_time(max(0.0, figures.offsets_expire_s - now_s))}.",
            "Let the job commit, or raise offsets.retention.minutes.",
            "on_call.md#scoringoffsetsnearexpiry",
        )


def _judge_past(job: JobState, now_s: float) -> Iterator[Finding]:
    recent = [it for it in job.events if now_s - it.at_s < _RESTARTS_COUNT_FOR_S]
    restarts = sum(it.kind == State.RESTARTING for it in recent)
    if restarts and job.status.state is not State.RESTARTING:
        times = "once" if restarts == 1 else f"{restarts} times"
        yield Finding(
            Level.LOOK,
            f"The query has failed {times} in the last {spell_time(_RESTARTS_COUNT_FOR_S)}.",
            "The events below name the cause.",
            "on_call.md#scoringrestarts",
        )
    if any(it.kind == "fenced" for it in recent):
        yield Finding(
            Level.ACT,
            "Another job of the same query name has taken over.",
            "Keep one of the two, or give them different names.",
            "on_call.md#scoringfenced",
        )


def _describe_work(figures: Figures, history: History) -> Finding:
    newest = history.newest
    rate = 0.0 if newest is None or newest.rate is None else newest.rate
    if rate > 0:
        return Finding(Level.WELL, f"It keeps up, and answers {rate:,.0f} records per second.")
    if any(lag.records for lag in figures.lag.values()):
        return Finding(Level.WELL, "It is at work on the records that have come.")
    if figures.batches or figures.tally.outcomes:
        return Finding(Level.WELL, "Everything that has come is answered; it waits for records.")
    return Finding(Level.WELL, "It runs and waits for the first records.")


def spell_time(seconds: float) -> str:
    """Spell a time with its two largest units: ``3 s``, ``2 min 5 s``, ``4 h 12 min``."""
    whole = round(seconds)
    for unit, name, smaller, smaller_name in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // smaller
            return f"{whole // unit} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{whole} s"
