from __future__ import annotations

import pytest

from lib.stream.watch.clock import ClockWatch


def test_a_step_back_is_told_from_steps_forward_and_small_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = {"time": 1_000_000.0, "monotonic": 50.0}
    monkeypatch.setattr("lib.stream.watch.clock.time.time", lambda: clock["time"])
    monkeypatch.setattr("lib.stream.watch.clock.time.monotonic", lambda: clock["monotonic"])
    watch = ClockWatch()

    def go_on(seconds: float, *, step_s: float = 0.0) -> float | None:
        clock["monotonic"] += seconds
        clock["time"] += seconds + step_s
        return watch.find_step_back()

    assert go_on(3_600.0) is None
    assert go_on(1.0, step_s=-4.0) is None
    assert go_on(1.0, step_s=-2.0) == 6.0  # small steps add up
    assert go_on(60.0) == 6.0
    watch.begin()
    assert go_on(1.0) is None
    assert go_on(1.0, step_s=86_400.0) is None
    assert go_on(1.0, step_s=-86_400.0) == 86_400.0
