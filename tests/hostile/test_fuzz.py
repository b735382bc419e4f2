"""The short form of ``make fuzz`` finds no fault, and its check of memory finds leaks."""

from __future__ import annotations

import pytest

from tests.end_to_end.jobs import JOB_TIMEOUT_S, Deployment
from tests.endurance.processes import Role, Weight
from tests.hostile.fuzz import judge_memory, run_fuzz

_RECORDS = 10_000
_MIB = 2**20


@pytest.mark.parametrize(("backend", "turn"), [("sql", 0), ("onnx", 1)])
def test_hostile_records_are_answered_one_by_one(
    deployment: Deployment, backend: str, turn: int
) -> None:
    numbers = range(turn * _RECORDS, (turn + 1) * _RECORDS)

    run = run_fuzz(
        deployment, backend, numbers, seed=2, batch_records=5_000, timeout_s=JOB_TIMEOUT_S
    )

    assert run.exit_code == 0, run.errors
    assert run.account.faults == {}, run.account.examples
    assert run.account.predictions > 1_000
    assert run.account.predictions + run.account.dead_letters == _RECORDS


def weights(*rss_mib: int) -> list[Weight]:
    return [Weight(float(at), 1, mib * _MIB, 0, 0, 0, 0) for at, mib in enumerate(rss_mib)]


def test_steady_memory_is_fine() -> None:
    assert judge_memory({Role.DRIVER: weights(*[200, 210, 190] * 200)}) == []


def test_a_start_is_no_growth() -> None:
    assert judge_memory({Role.WORKERS: weights(*[0] * 20, *[400] * 500)}) == []


def test_growing_memory_is_found() -> None:
    growing = weights(*range(200, 800))

    assert judge_memory({Role.WORKERS: growing}) == ["the Python workers grew by 360 MiB"]


def test_a_jvm_beyond_its_bound_is_found() -> None:
    (failure,) = judge_memory({Role.JVM: weights(1_000, 5_000, 1_000)})

    assert failure == "the JVM held 5000 MiB, more than 4096"
