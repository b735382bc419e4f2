from __future__ import annotations

import pytest

from benchmarks.rounds import Spread, restore, show, take_turns


def test_a_figure_has_its_median_and_its_range() -> None:
    assert Spread.over([3.0, None, 9.0, 4.0]) == Spread(4.0, 3.0, 9.0)
    assert Spread.over([3.0, 4.0]) == Spread(3.5, 3.0, 4.0)
    assert Spread.over([None]) is None


def test_a_ratio_is_taken_of_each_pair_and_not_of_the_medians() -> None:
    # The medians' ratio would be 2 / 1 = 2.
    pairs = [(1.0, 1.0), (2.0, 0.5), (9.0, 3.0)]

    assert Spread.over_ratios(pairs) == Spread(3.0, 1.0, 4.0)


def test_half_a_pair_has_no_ratio() -> None:
    assert Spread.over_ratios([(1.0, None), (None, 1.0), (1.0, 0.0)]) is None
    assert Spread.over_ratios([(0.0, 2.0), (1.0, None)]) == Spread(0.0, 0.0, 0.0)


def test_every_second_round_has_the_reverse_order() -> None:
    assert list(take_turns(["job", "loop"], 3)) == [
        (1, "job"),
        (1, "loop"),
        (2, "loop"),
        (2, "job"),
        (3, "job"),
        (3, "loop"),
    ]


@pytest.mark.parametrize(
    ("spread", "form", "unit", "text"),
    [
        (Spread(167_256.4, 164_743.0, 181_525.0), ",.0f", "", "167,256 (164,743–181,525)"),
        (Spread(1.104, 1.06, 1.14), ".2f", "", "1.10 (1.06–1.14)"),
        (Spread(8.1, 7.6, 10.9), ".1f", " s", "8.1 (7.6–10.9) s"),
        (Spread(1.101, 1.1, 1.102), ".2f", "", "1.10"),
        (None, ".2f", " s", "–"),
    ],
)
def test_a_spread_is_written_with_its_range(
    spread: Spread | None, form: str, unit: str, text: str
) -> None:
    assert show(spread, form, unit) == text


def test_a_stored_row_is_read_back() -> None:
    row = {"median": 2.0, "low": {"median": 1.0, "low": 0.5, "high": 1.5}, "high": None}

    # Any dataclass can be a row; this one is at hand.
    assert restore(Spread, row) == Spread(2.0, Spread(1.0, 0.5, 1.5), None)  # type: ignore[arg-type]
