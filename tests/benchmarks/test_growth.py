"""The cases of the growth benchmark are right; the tests do not run them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict

import pytest

from benchmarks.growth import Case, limited_to, list_cases

EVERYTHING = 10_000_000


def test_backlogs_partitions_batches_and_cores_span_the_range() -> None:
    cases = list_cases(EVERYTHING, cores=2)

    assert {case.records for case in cases} >= {100_000, 1_000_000, 10_000_000}
    assert {case.partitions for case in cases} == {1, 4, 16, 64}
    assert {case.batch for case in cases} >= {1_000, 10_000, 100_000, 500_000}
    assert {case.cores for case in cases} == {1, 2}
    assert len(set(cases)) == len(cases)


@pytest.mark.parametrize("case", list_cases(EVERYTHING, cores=2))
def test_a_case_has_enough_batches_and_differs_in_one_thing(case: Case) -> None:
    assert 5 <= case.records / case.batch <= 100
    usual = asdict(Case())
    different = {name for name, value in asdict(case).items() if value != usual[name]}
    assert len(different - {"records", "batch"}) + bool(different & {"records", "batch"}) <= 1


def test_long_backlogs_can_be_left_out() -> None:
    cases = list_cases(1_000_000, cores=1)

    assert max(case.records for case in cases) == 1_000_000
    assert {case.cores for case in cases} == {1}


def test_what_is_started_within_shares_the_cores() -> None:
    before = os.sched_getaffinity(0)
    report = "import os; print(*os.sched_getaffinity(0))"

    with limited_to(1):
        found = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True)

    assert found.stdout.split() == [str(min(before))]
    assert os.sched_getaffinity(0) == before
