"""The laboratory's short form: every kind of strike once. ``make crash`` is the long one.

Each strike waits until the job has recovered; who reads committed messages must not notice.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash.arena import Setup
from tests.crash.campaign import run_leg
from tests.crash.report import CampaignReport, LegReport
from tests.crash.schedule import Kind, Leg, Strike

pytestmark = [pytest.mark.broker, pytest.mark.timeout(1_200)]

# What is between two strikes: more than a batch, so that they come at any moment of one.
APART = 700
BASIC: Sequence[Strike] = (
    Strike(Kind.WORKER, APART, 0.1),
    Strike(Kind.DRIVER, APART, 0.2),
    Strike(Kind.STEP, APART, 0.0, {"step": "offsets_sent", "times": 2}),
    Strike(Kind.STEP, APART, 0.0, {"step": "committed", "times": 1}),
    Strike(Kind.STEP, APART, 0.0, {"step": "initialised", "times": 1}),
    Strike(
        Kind.REQUEST,
        *(APART, 0.0),
        {"request": "EndTxn", "action": "lose response", "duration_s": 0.0},
    ),
    Strike(Kind.REQUEST, APART, 0.0, {"request": "EndTxn", "action": "hold", "duration_s": 3.0}),
    Strike(Kind.OFFSETS, APART, 0.0),
    Strike(Kind.PARTITION, APART, 0.0),
    Strike(Kind.JVM, APART, 0.3),
    Strike(Kind.BROKER, APART, 0.1, {"down_s": 0.5}),
    Strike(Kind.UNREACHABLE, APART, 0.0, {"mode": "refuse", "duration_s": 5.0}),
    Strike(Kind.PYTHON, APART, 0.1),
    Strike(Kind.START, APART, 0.0, {"after_s": 3.0}),
    Strike(Kind.ZOMBIE, APART, 0.1, {"is_checkpoint_shared": True}),
    Strike(Kind.CHECKPOINT, APART, 0.2),
    Strike(Kind.PROMOTION, APART, 0.1),
)
CLUSTER: Sequence[Strike] = (
    Strike(Kind.EXECUTOR, APART, 0.1),
    Strike(Kind.WORKER, APART, 0.1),
    Strike(Kind.DRIVER, APART, 0.1),
)
# Messages of Spark's own sink can be read before Spark notes the batch as done.
DRIVER_KILLS: Sequence[Strike] = tuple(Strike(Kind.DRIVER, 200, 0.0) for _ in range(3))


def run(setup: Setup, leg: Leg, folder: Path) -> LegReport:
    """Run it; pytest shows the lines and the tables if something is wrong."""
    report = run_leg(setup, leg, folder, show)
    show(CampaignReport(0, setup.delivery, [report]).to_text())
    show(str(report.examples))
    return report


def show(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def check(report: LegReport, leg: Leg) -> None:
    """Every record was answered once, and every strike struck."""
    assert report.faults == {}
    assert report.faults_live == {}
    assert report.records == report.messages == leg.records
    assert [it.name for it in report.outcomes if not it.is_done] == []


def test_nobody_notices_any_kind_of_strike(setup: Setup, tmp_path: Path) -> None:
    leg = Leg("sklearn", False, 30_000, BASIC)
    assert {strike.kind for strike in (*BASIC, *CLUSTER)} == set(Kind)

    report = run(setup, leg, tmp_path)

    check(report, leg)
    assert report.models.keys() == {"churn@1/sklearn", "churn@2/sklearn"}
    assert report.replays > 0  # the kills hit what they were aimed at


def test_nobody_notices_that_executors_die(setup: Setup, tmp_path: Path) -> None:
    leg = Leg("sklearn", True, 6_000, CLUSTER)

    check(run(setup, leg, tmp_path), leg)


def test_kills_make_sparks_own_sink_repeat_records(setup: Setup, tmp_path: Path) -> None:
    """The negative control: the same kills, the same account, another sink."""
    leg = Leg("spark", False, 8_000, DRIVER_KILLS)

    report = run(replace(setup, delivery="at-least-once"), leg, tmp_path)

    assert report.faults["duplicated"] > 0
    assert "missing" not in report.faults
    assert report.faults == report.faults_live
