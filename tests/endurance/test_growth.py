from __future__ import annotations

import random

from tests.endurance.growth import Bound, measure_growth

MIB = 2**20
BOUND = Bound(share=0.1, least=16 * MIB)
TIMES_S = [float(second) for second in range(0, 300, 2)]


def noise(seed: int) -> list[float]:
    chance = random.Random(seed)
    return [200 * MIB + chance.gauss(0, 5 * MIB) for _ in TIMES_S]


def test_noise_is_no_leak() -> None:
    for seed in range(20):
        assert not measure_growth("noise", TIMES_S, noise(seed), BOUND).is_leak


def test_a_slow_leak_within_noise_is_found() -> None:
    leaking = [value + 0.2 * MIB * s for s, value in zip(TIMES_S, noise(1), strict=True)]

    growth = measure_growth("leak", TIMES_S, leaking, BOUND)

    assert growth.is_leak
    assert 50 * MIB < growth.growth < 70 * MIB


def test_a_leak_of_one_file_for_each_minute_is_found() -> None:
    files = [100 + s // 60 for s in TIMES_S]

    assert measure_growth("files", TIMES_S, files, Bound(share=0, least=3)).is_leak


def test_a_few_spikes_are_no_leak() -> None:
    values = noise(2)
    for late in (-3, -9, -15):
        values[late] *= 5

    assert not measure_growth("spikes", TIMES_S, values, BOUND).is_leak


def test_what_rises_and_falls_is_no_leak() -> None:
    values = [200 * MIB + (s % 40) * MIB for s in TIMES_S]

    assert not measure_growth("saw", TIMES_S, values, BOUND).is_leak


def test_too_few_points_say_nothing() -> None:
    growth = measure_growth("short", [0.0, 1.0], [0.0, 1e12], BOUND)

    assert growth.slope_per_s is None
    assert not growth.is_leak
