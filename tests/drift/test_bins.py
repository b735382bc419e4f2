from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from lib.drift.bins import BinKind, Bins, divide_booleans, divide_numbers, divide_texts
from lib.drift.profile import SCORE, Profile, build_profile
from lib.drift.sample import are_sampled
from lib.errors import ModelCorruptError
from tests.domains.test_loan import LOAN
from tests.drift.profiles import provide_profile

NAN = float("nan")


def test_numbers_are_divided_midway_between_the_values_at_their_quantiles() -> None:
    bins = divide_numbers("a", np.arange(100.0))

    assert bins.edges == (9.5, 19.5, 29.5, 39.5, 49.5, 59.5, 69.5, 79.5, 89.5)
    assert bins.counts == (10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 0)
    assert bins.labels[:2] == ("≤ 9.5", "9.5 – 19.5")
    assert bins.labels[-2:] == ("> 89.5", "null")
    assert bins.place_numbers(np.array([9.5, 9.6])).tolist() == [0, 1]


def test_a_value_that_many_rows_have_gets_a_bin_of_its_own() -> None:
    numbers = np.array([0.0] * 60 + [5.0] * 30 + [7.0] * 10)

    bins = divide_numbers("a", numbers)

    assert bins.edges == (2.5, 6.0)
    assert bins.counts == (60, 30, 10, 0)
    # A value in the middle that many rows have is alone too.
    middle = divide_numbers("a", np.array([1.0, 2, 3, 4] + [5.0] * 12 + [6, 7, 8, 9]))
    assert middle.counts[middle.place_numbers(np.array([5.0]))[0]] == 12


def test_a_number_that_is_always_the_same_shows_smaller_and_larger_ones() -> None:
    bins = divide_numbers("a", np.array([3.0] * 10 + [NAN]))

    assert bins.counts == (0, 10, 0, 1)
    assert bins.place_numbers(np.array([2.9, 3.0, 3.1, NAN])).tolist() == [0, 1, 2, 3]


def test_rows_without_any_value_have_two_bins() -> None:
    assert divide_numbers("a", np.array([NAN, NAN])).counts == (0, 2)
    assert divide_texts("a", [None, None]).counts == (0, 2)


def test_booleans_categories_and_texts_are_divided_by_value() -> None:
    assert divide_booleans("a", np.array([0.0, 1, 1, NAN])).counts == (1, 2, 1)
    category = divide_texts("a", ["x", "x", "y", None], ["z", "y", "x"])
    assert (category.labels, category.counts) == (("z", "y", "x", "other", "null"), (0, 1, 2, 0, 1))
    text = divide_texts("a", ["b", "a", "b", None])
    assert text.values == ("a", "b")
    assert text.place_texts(["b", "c", None]).tolist() == [1, 2, 3]


def test_texts_of_many_values_are_divided_by_length() -> None:
    bins = divide_texts("a", [f"{'x' * (number % 3)}{number:04d}" for number in range(200)])

    assert bins.kind is BinKind.LENGTH
    assert bins.edges == (4.5, 5.5)
    assert bins.place_texts(["1234", "123456", None]).tolist() == [0, 2, 3]


def test_a_category_of_very_many_values_keeps_the_frequent_ones() -> None:
    allowed = [f"v{number}" for number in range(1_000)]

    bins = divide_texts("a", ["v999"] * 5 + ["v1"], allowed)

    assert bins.values[:2] == ("v999", "v1")
    assert bins.size == 102
    assert bins.place_texts(["v999", "v998"]).tolist() == [0, 100]


def test_a_profile_has_every_feature_in_order_and_is_read_as_it_was_written() -> None:
    rows = pd.DataFrame({field.name: [field.stand_in] * 3 for field in LOAN.features})

    profile = build_profile(rows, np.array([0.1, 0.2, 0.3]), LOAN)

    assert [bins.name for bins in profile.quantities] == [*LOAN.feature_names, SCORE]
    assert Profile.from_json(profile.to_json(), "profile.json") == profile
    assert all(sum(bins.counts) == 3 for bins in profile.quantities)


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it.update(score=None),
        lambda it: it["features"][0].update(counts=[1]),
        lambda it: it["features"][0].update(kind="odd"),
        lambda it: it["features"][0].pop("edges"),
    ],
)
def test_a_damaged_profile_is_refused(change: object) -> None:
    values = json.loads(provide_profile().to_json())
    change(values)  # type: ignore[operator]

    with pytest.raises(ModelCorruptError, match=r"models/x/1/profile\.json: found no profile"):
        Profile.from_json(json.dumps(values), "models/x/1/profile.json")


def test_one_record_of_so_many_is_sampled_whatever_the_rhythm_of_the_offsets() -> None:
    offsets = np.arange(1_000_000, dtype=np.int64)

    assert are_sampled(offsets, 1).all()
    assert are_sampled(offsets, 10).mean() == pytest.approx(0.1, abs=0.001)
    for first in range(10):
        share = are_sampled(offsets[first::10] + 2**40, 10).mean()
        assert share == pytest.approx(0.1, abs=0.005)


def test_the_key_of_a_profile_is_that_of_one_version() -> None:
    bins = Bins(SCORE, BinKind.NUMBER, counts=(1, 0))
    profile = Profile(1, (), bins)

    assert len(profile.make_key("a@1/onnx")) == 4
    assert profile.make_key("a@1/onnx") != profile.make_key("a@2/onnx")
    assert profile.make_key("a@1/onnx") == Profile(1, (), bins).make_key("a@1/onnx")
