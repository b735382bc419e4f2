from __future__ import annotations

import pytest

from benchmarks.environment import describe_machine, read_variables


def test_the_machine_is_described() -> None:
    machine = describe_machine()

    assert set(machine) == {"cpu", "cores", "memory_gib", "system", "load_before"}
    cores = machine["cores"]
    assert isinstance(cores, int)
    assert cores >= 1


def test_only_variables_that_change_the_speed_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MY_PASSWORD", "secret")

    variables = read_variables()

    assert variables["OMP_NUM_THREADS"] == "1"
    assert "MY_PASSWORD" not in variables
