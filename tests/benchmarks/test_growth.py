"""The cases of the growth benchmark, without running them."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.contestants import CONTESTANTS, Course
from benchmarks.growth import Case, bind, list_cases

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


def test_a_job_is_bound_to_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5, 3, 7})
    course = Course("b", "in", "out", "dead", "g", Path("m"), Path("c"), 1_000)
    job = CONTESTANTS["exactly-once/onnx"]

    command = bind(job, 2).build_command(course)

    assert command == ["taskset", "--cpu-list", "3,5", *job.build_command(course)]
