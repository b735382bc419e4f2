"""Run a schedule leg by leg: feed, strike, restart, measure, and compare the answers at the end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from tests.crash.arena import Arena, LaboratoryError, Setup
from tests.crash.report import LegReport, Outcome
from tests.crash.schedule import KILLS, Leg, Strike
from tests.crash.strikes import NotPossibleError, carry_out
from tests.crash.supervisor import Launch
from tests.support.answers import Watch

# A loaded machine takes several times as long as an idle one.
_RECOVERY_TIMEOUT_S = 300.0
_DRAIN_TIMEOUT_S = 600.0
# A strike may find more records answered already than expected: a few batches, and the backlog of
# the load. The reserve is larger than that.
_RESERVE_RECORDS = 8_000
# Answers after the last one expected, which would be faults, would come within this time.
_SETTLE_S = 1.0
_REPLAY = re.compile(r"already_written=[1-9]")
# Phase of a start → the step in the timeline of ``dying_job.py`` that ends it.
_PHASES = {
    "wrapper, JVM, Python": "python-1",
    "imports": "imported-1",
    "session and model": "opening-1",
    "fencing the predecessor": "initialised-1",
    "claiming the group": "committed-1",
    "query start, first batch": "begun-2",
    "first transaction": "committed-2",
}

Say = Callable[[str], None]


def run_leg(setup: Setup, leg: Leg, folder: Path, say: Say) -> LegReport:
    """Run one leg of a campaign to its end.

    Args:
        setup: settings of the campaign.
        leg: the leg to run.
        folder: a new folder for logs.
        say: function that prints a line about the progress.

    Raises:
        LaboratoryError: the job does not recover.
        NoNetworksError: this machine cannot provide the leg's site.
    """
    started_s = time.monotonic()
    outcomes = []
    with Arena(setup, folder, leg) as arena:
        arena.load.allow(leg.records)
        _recover(arena)
        for number, strike in enumerate(leg.strikes, 1):
            outcome = _strike(arena, strike)
            outcomes.append(outcome)
            ledger = arena.ledger
            say(
                f"  {number:3}/{len(leg.strikes)} {outcome.name:28}"
                f" {outcome.first_s:5.1f} s to the first commit, {outcome.restarts} starts,"
                f" {ledger.answered:,} of {ledger.expected:,} answered,"
                f" faults so far: {sum(ledger.faults_so_far.values())}"
                + ("" if outcome.is_done else ", nothing to strike")
            )
        _drain(arena)
        exit_code = arena.job.stop()
        if exit_code != 0:
            raise LaboratoryError(f"stopping gave {exit_code}:\n{arena.job.read_log_tail()}")
        return _take_account(arena, leg, outcomes, time.monotonic() - started_s)


def _strike(arena: Arena, strike: Strike) -> Outcome:
    ledger, supervisor = arena.ledger, arena.supervisor
    target = ledger.answered + strike.after_records
    _keep_reserve(arena, target)
    if not arena.wait_for(lambda: ledger.answered >= target, _RECOVERY_TIMEOUT_S):
        raise LaboratoryError(f"no progress before {strike.name}:\n{arena.job.read_log_tail()}")
    time.sleep(strike.delay_s)
    starts, is_done = len(supervisor.launches), True
    try:
        carry_out(arena, strike)
    except NotPossibleError:
        is_done = False
        arena.mark()
    _recover(arena)
    watch = arena.watch
    assert watch.first_s is not None
    restarts = len(supervisor.launches) - starts
    return Outcome(
        name=strike.name,
        is_kill=strike.kind in KILLS,
        is_done=is_done,
        first_s=watch.first_s,
        wait_s=watch.longest_wait_s,
        restarts=restarts,
        phases=_measure_phases(arena.job, watch) if restarts else {},
    )


def _keep_reserve(arena: Arena, answered: int) -> None:
    """Allow more records, because recovery shows in new answers and some must be left to give."""
    arena.load.allow(max(answered + _RESERVE_RECORDS - arena.load.allowed, 0))


def _recover(arena: Arena) -> None:
    """Wait until the job has written an answer after the last strike."""
    watch = arena.watch
    # A job that did not die as planned has answered more records meanwhile.
    _keep_reserve(arena, arena.ledger.answered)
    if not arena.wait_for(lambda: watch.first_s is not None, _RECOVERY_TIMEOUT_S):
        log = arena.job.read_log_tail()
        raise LaboratoryError(f"nothing new for {_RECOVERY_TIMEOUT_S:.0f} s; the log:\n{log}")


def _drain(arena: Arena) -> None:
    """Wait until all records were sent and answered."""
    ledger, load = arena.ledger, arena.load
    arena.wait_for(lambda: load.is_done and ledger.answered == ledger.expected, _DRAIN_TIMEOUT_S)
    arena.load.flush()
    time.sleep(_SETTLE_S)


def _take_account(arena: Arena, leg: Leg, outcomes: list[Outcome], duration_s: float) -> LegReport:
    live, again = arena.ledger.examine(), arena.reader.read_again()
    final = again.examine()
    launches = arena.supervisor.launches
    return LegReport(
        setup=leg.setup,
        site=str(leg.site),
        records=arena.ledger.expected,
        messages=again.messages,
        faults={str(fault): count for fault, count in final.counts.items()},
        faults_live={str(fault): count for fault, count in live.counts.items()},
        examples={str(fault): tuple(it) for fault, it in final.examples.items()},
        replays=sum(len(_REPLAY.findall(launch.read_log())) for launch in launches),
        starts=len(launches),
        models=dict(again.model_versions),
        duration_s=duration_s,
        outcomes=tuple(outcomes),
        shadows=again.shadows if leg.has_rivals else 0,
        unshadowed=again.unshadowed if leg.has_rivals else 0,
        shadow_errors=again.shadow_errors,
    )


def _measure_phases(launch: Launch, watch: Watch) -> dict[str, float]:
    """Return phase → seconds for the start that gave the first answer; the sum is its time.

    Executors report no steps, so with ``commit=executor`` the last phase contains everything after
    the claim.
    """
    assert watch.first_s is not None
    timeline = launch.read_timeline()
    phases = {"noticing": launch.started_s - watch.since_s}
    before_s = launch.started_s
    for phase, step in _PHASES.items():
        if step not in timeline:
            break
        phases[phase] = timeline[step] - before_s
        before_s = timeline[step]
    phases["until readers see it"] = watch.since_s + watch.first_s - before_s
    return phases
