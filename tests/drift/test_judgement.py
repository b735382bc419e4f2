from __future__ import annotations

import numpy as np
import pytest

from lib.drift.bins import count_places
from lib.drift.judgement import judge_window
from lib.drift.profile import SCORE
from lib.drift.psi import FALSE_ALARM, compute_psi, find_chance_limit
from tests.drift.profiles import (
    draw_customers,
    fill_window,
    place_rows,
    provide_profile,
)

LIMIT = 0.2
WINDOWS, RECORDS = 1_000, 500


def test_the_index_is_that_of_the_definition() -> None:
    # Shares of 0.5 and 0.5 against 0.8 and 0.2, but for half a record more in each bin.
    assert compute_psi([5_000, 5_000], [8_000, 2_000]) == pytest.approx(0.41579, abs=1e-4)
    assert compute_psi([1_000, 3_000, 6_000], [1_000, 3_000, 6_000]) == 0.0
    # (10.5 / 21 - 0.5 / 11) · ln(11), and (10.5 / 11 - 10.5 / 21) · ln(21 / 11).
    assert compute_psi([0, 10], [10, 10]) == pytest.approx(1.38387, abs=1e-4)
    assert compute_psi([0, 0], [0, 0]) == 0.0
    # A bin that is empty in both changes nothing.
    assert compute_psi([50, 50, 0], [80, 20, 0]) == compute_psi([50, 50], [80, 20])


def test_chance_allows_more_in_small_windows_and_many_bins() -> None:
    # The quantile of chi-square of 9 degrees at 1 - 1e-6 is 44.8; 44.8 · (1/500 + 1/10,000).
    assert find_chance_limit([1_000] * 10, [50] * 10) == pytest.approx(0.0941, rel=0.03)
    assert find_chance_limit([1_000] * 10, [1_000] * 10) == pytest.approx(0.00896, rel=0.03)
    assert find_chance_limit([5_000] * 2, [250] * 2) < find_chance_limit([100] * 100, [5] * 100)


def test_no_feature_has_drifted_in_a_thousand_windows_of_customers_like_those_of_training() -> None:
    """Even by what chance alone allows, without the limit of the settings, which is higher.

    20,000 judgements, each wrong with a probability of 1e-6: one of fifty such tests would fail.
    """
    profile = provide_profile()
    places = place_rows(draw_customers(100_000, seed=11), profile)
    rng = np.random.default_rng(5)
    over = 0
    for _ in range(WINDOWS):
        chosen = rng.integers(0, 100_000, RECORDS)
        for bins, column in zip(profile.quantities, places, strict=True):
            counts = count_places(column[chosen], bins.size)
            over += compute_psi(bins.counts, counts) > find_chance_limit(bins.counts, counts)

    assert len(profile.quantities) == 20
    assert FALSE_ALARM == 1e-6
    assert over == 0


@pytest.mark.parametrize(
    ("changes", "drifted"),
    [
        ({}, set()),
        ({"MonthlyCharges": lambda it: it * 1.6}, {"MonthlyCharges", SCORE}),
        ({"tenure": lambda it: it // 4}, {"tenure", SCORE}),
        ({"PaymentMethod": "Mailed check"}, {"PaymentMethod"}),
        ({"SeniorCitizen": lambda it: 1 - it}, {"SeniorCitizen"}),
        ({"TotalCharges": 0.0}, {"TotalCharges"}),
    ],
    ids=["none", "dearer", "newer", "another way to pay", "flag turned around", "a default"],
)
def test_the_feature_that_was_shifted_is_named(
    changes: dict[str, object], drifted: set[str]
) -> None:
    window = fill_window(draw_customers(5_000, seed=12, **changes))

    found = judge_window(window, LIMIT)

    assert {drift.name for drift in found if drift.is_over} == drifted
    worst = [drift.name for drift in found[: len(drifted)]]
    assert set(worst) == drifted


def test_values_that_the_contract_does_not_allow_are_drift_although_they_become_dead_letters() -> (
    None
):
    window = fill_window(draw_customers(5_000, seed=12), {"Contract": 500, "": 40})

    worst, *others = judge_window(window, LIMIT)

    assert worst.name == "Contract"
    assert worst.is_over
    assert worst.unseen == pytest.approx(500 / 5_500)
    assert worst.labels == ("Month-to-month", "One year", "Two year", "other", "null", "unseen")
    assert worst.training[-1] == 0.0
    assert worst.found[-1] == pytest.approx(500 / 5_500)
    assert not any(drift.is_over for drift in others)


def test_dead_letters_weigh_as_much_as_the_sample_of_predictions() -> None:
    window = fill_window(draw_customers(1_000, seed=12), {"Contract": 1_000})
    window.predictions = 10_000  # one of ten was put into bins

    (contract,) = [it for it in judge_window(window, LIMIT) if it.name == "Contract"]

    assert contract.unseen == pytest.approx(1_000 / 11_000)
