"""The laboratory's short form has every kind of strike once. ``make crash`` runs the long form.

Each strike waits until the job has recovered; readers of committed messages must not notice it.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash.arena import Setup
from tests.crash.campaign import run_leg
from tests.crash.report import CampaignReport, LegReport
from tests.crash.schedule import Kind, Leg
from tests.crash.short import ANY, ON_CLUSTER, ON_THREE, SENDER_KILLED, SHORT

pytestmark = [pytest.mark.broker, pytest.mark.timeout(1_200)]


def run(setup: Setup, leg: Leg, folder: Path) -> LegReport:
    """Run a leg; pytest shows the printed lines and tables if it fails."""
    report = run_leg(setup, leg, folder, show)
    show(CampaignReport(0, setup.delivery, [report]).to_text())
    show(str(report.examples))
    return report


def show(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def check(report: LegReport, leg: Leg) -> None:
    """Check that every record was answered once, and that every strike found its target."""
    assert report.faults == {}
    assert report.faults_live == {}
    assert report.records == report.messages >= leg.records
    assert [it.name for it in report.outcomes if not it.is_done] == []


# These kinds take minutes, or need network namespaces; ``make crash`` has them.
_LONG = {Kind.IDLE, Kind.CUT, Kind.RETENTION}


def test_nobody_notices_any_kind_of_strike(setup: Setup, tmp_path: Path) -> None:
    assert {strike.kind for leg in SHORT.legs for strike in leg.strikes} == set(Kind) - _LONG

    report = run(setup, ANY, tmp_path)

    check(report, ANY)
    assert report.models.keys() == {"churn@1/onnx", "churn@2/onnx", "churn@3/onnx"}
    assert report.shadows > 0
    assert report.replays > 0  # the kills hit the moments at which they were aimed


def test_nobody_notices_what_happens_to_one_of_three_brokers(setup: Setup, tmp_path: Path) -> None:
    check(run(setup, ON_THREE, tmp_path), ON_THREE)


def test_nobody_notices_that_executors_die_whoever_commits(setup: Setup, tmp_path: Path) -> None:
    check(run(setup, ON_CLUSTER, tmp_path), ON_CLUSTER)


def test_kills_make_sparks_own_sink_repeat_records(setup: Setup, tmp_path: Path) -> None:
    """This negative control has the same kills and the same comparison, but another sink."""
    report = run(replace(setup, delivery="at-least-once"), SENDER_KILLED, tmp_path)

    assert report.faults["duplicated"] > 0
    assert "missing" not in report.faults
    assert report.faults == report.faults_live
