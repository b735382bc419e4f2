from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import ModelMismatchError
from lib.score.backends.sklearn.worker import compute_probability
from lib.score.workers.halves import score_batch
from lib.score.workers.scorer import WorkerScorer


class Fussy:
    """A scorer that returns each number, and raises on a batch with a negative one."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, rows: pd.DataFrame) -> Any:
        self.calls += 1
        values = rows["value"].to_numpy(dtype=np.float64)
        if (values < 0).any():
            raise OverflowError(f"secret {values.tolist()}")
        return values


def rows(*values: float) -> pd.DataFrame:
    return pd.DataFrame({"value": list(values)}, dtype=np.float64)


def test_sound_batch_is_scored_in_one_call() -> None:
    score = Fussy()
    assert score_batch(score, rows(0.0, 0.25, 1.0)).tolist() == [0.0, 0.25, 1.0]
    assert score.calls == 1


@given(st.lists(st.floats(min_value=-1, max_value=1), max_size=40))
def test_rows_on_which_the_model_raises_give_none_and_spare_the_others(
    values: list[float],
) -> None:
    expected = [np.nan if value < 0 else value for value in values]
    np.testing.assert_array_equal(score_batch(Fussy(), rows(*values)), expected)


def test_few_bad_rows_cost_few_calls() -> None:
    score = Fussy()
    score_batch(score, rows(*[0.5] * 5_000, -1.0, *[0.5] * 4_999))
    assert score.calls <= 2 * 15  # two halves at each of the 14 levels


def test_failing_rows_are_logged_without_their_contents(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        score_batch(Fussy(), rows(0.5, -0.125, 0.5, -0.25))
    assert caplog.messages == ["model failed: rows=2 of=4 errors=OverflowError:2"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.0000001, -0.1])
def test_what_is_no_probability_gives_none(value: float) -> None:
    result = score_batch(lambda batch: np.array([0.5, value]), rows(1, 2))
    np.testing.assert_array_equal(result, [0.5, np.nan])


def test_empty_batch_does_not_reach_the_model() -> None:
    score = Fussy()
    assert score_batch(score, rows()).tolist() == []
    assert score.calls == 0


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 3), (1, 2)])
def test_model_of_other_than_two_classes_is_refused(shape: tuple[int, ...]) -> None:
    class Odd:
        def predict_proba(self, features: pd.DataFrame) -> Any:
            return np.full(shape, 0.5)

    with pytest.raises(ModelMismatchError, match=r"Odd: found probabilities of shape .*\(2, 2\)"):
        compute_probability(Odd(), None, 1, None, rows(1, 2))


def divide(rows: pd.DataFrame) -> Any:
    assert list(rows.columns) == ["b", "a"]
    return (rows["b"] / rows["a"]).to_numpy(dtype=np.float64)


def test_model_gets_its_columns_in_its_order() -> None:
    scorer = WorkerScorer("the model", "m@1/own", divide, ["b", "a"])

    assert scorer.score(pd.DataFrame({"a": [4.0], "c": ["x"], "b": [1.0]})).tolist() == [0.25]
    assert scorer.score(pd.DataFrame({"b": [1.0], "a": [2.0]})).tolist() == [0.5]


def test_model_that_lists_no_columns_gets_what_there_is() -> None:
    scorer = WorkerScorer("the model", "m@1/own", lambda rows: rows.to_numpy()[:, 1])

    assert scorer.columns is None
    assert scorer.score(pd.DataFrame({"a": [4.0], "c": [0.5]})).tolist() == [0.5]
