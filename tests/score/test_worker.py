from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.decode.engines.arrow import Category
from lib.errors import ModelFailingError, ModelMismatchError
from lib.score.backends.sklearn.worker import compute_probability
from lib.score.workers.failures import FailureTally
from lib.score.workers.halves import ColumnRows, score_batch
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


def score(compute: Any, batch: Any, tally: FailureTally | None = None) -> Any:
    return score_batch(compute, batch, tally or FailureTally("m@1/own")).probabilities


def test_sound_batch_is_scored_in_one_call() -> None:
    fussy = Fussy()
    scores = score_batch(fussy, rows(0.0, 0.25, 1.0), FailureTally("m@1/own"))
    assert scores.probabilities.tolist() == [0.0, 0.25, 1.0]
    assert scores.failures == {}
    assert fussy.calls == 1


@given(st.lists(st.floats(min_value=-1, max_value=1), max_size=40))
def test_rows_on_which_the_model_raises_give_none_and_spare_the_others(
    values: list[float],
) -> None:
    expected = [np.nan if value < 0 else value for value in values]
    scores = score_batch(Fussy(), rows(*values), FailureTally("m@1/own"))
    np.testing.assert_array_equal(scores.probabilities, expected)
    assert scores.failures == {
        row: "OverflowError: secret […]" for row, value in enumerate(values) if value < 0
    }


def test_few_bad_rows_cost_few_calls() -> None:
    fussy = Fussy()
    score(fussy, rows(*[0.5] * 5_000, -1.0, *[0.5] * 4_999))
    assert fussy.calls <= 2 * 15  # two halves at each of the 14 levels


def test_failing_rows_are_logged_without_their_contents(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        score(Fussy(), rows(0.5, -0.125, 0.5, -0.25))
    assert caplog.messages == [
        "model m@1/own failed on 2 rows in this worker: OverflowError: secret […] (2)"
    ]


def test_a_worker_logs_a_line_in_ten_seconds(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000.0]
    monkeypatch.setattr("lib.score.workers.failures.time.monotonic", lambda: now[0])
    tally = FailureTally("m@1/own")
    with caplog.at_level(logging.WARNING):
        for _ in range(25):
            score(Fussy(), rows(0.5, -0.125), tally)
            now[0] += 1
    assert caplog.messages == [
        f"model m@1/own failed on {count} rows in this worker: OverflowError: secret […] ({count})"
        for count in (1, 10, 10)
    ]


def test_failures_are_reported_by_batch() -> None:
    reports: list[Any] = []
    tally = FailureTally("m@1/own", report=reports.append)
    score(Fussy(), rows(0.5, 0.25), tally)
    score(Fussy(), rows(0.5, -0.125, 2.0), tally)
    score(Fussy(), rows(0.5, np.nan), tally)
    assert reports == [
        {"OverflowError: secret […]": 1, "no probability between 0 and 1": 1},
        {"no probability between 0 and 1": 1},
    ]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.0000001, -0.1])
def test_what_is_no_probability_gives_none(value: float) -> None:
    result = score(lambda batch: np.array([0.5, value]), rows(1, 2))
    np.testing.assert_array_equal(result, [0.5, np.nan])


def test_empty_batch_does_not_reach_the_model() -> None:
    fussy = Fussy()
    assert score(fussy, rows()).tolist() == []
    assert fussy.calls == 0


def test_result_of_another_length_is_a_failure_of_all_rows() -> None:
    scores = score_batch(lambda batch: np.array([0.5]), rows(1, 2), FailureTally("m@1/own"))
    assert scores.probabilities.tolist() == [0.5, 0.5]
    scores = score_batch(lambda batch: np.empty((0, 2)), rows(5, 6), FailureTally("m@1/own"))
    assert set(scores.failures.values()) == {
        "ModelMismatchError: found probabilities of shape (0, 2), expected (1,)"
    }


def test_decoded_columns_are_halved_like_frames() -> None:
    def compute(part: ColumnRows) -> Any:
        if "b" in part.columns["kind"].tolist():
            raise KeyError("b")
        return part.columns["value"] / 10

    columns = {
        "kind": Category(np.array([0, 1, -1, 1]), ("a", "b")),
        "value": np.array([1.0, 2.0, 3.0, 4.0]),
    }
    scores = score_batch(compute, ColumnRows(columns), FailureTally("m@1/own"))
    np.testing.assert_array_equal(scores.probabilities, [0.1, np.nan, 0.3, np.nan])
    assert scores.failures == {1: "KeyError: …", 3: "KeyError: …"}


class TestLimit:
    """A model that fails on nearly all rows stops the work, and bounds what is spent on it."""

    def test_nearly_all_rows_fail(self) -> None:
        fussy = Fussy()
        with pytest.raises(ModelFailingError) as caught:
            score(fussy, rows(*[-0.5] * 10_000), FailureTally("m@1/own", 0.9))
        assert caught.value.message == (
            "model m@1/own failed on 200 of 200 records, 100%, most often with OverflowError:"
            " secret […]"
        )
        assert caught.value.hint == (
            "name another version with --model, or let each such record become a dead letter with"
            " --model-failure-limit 1"
        )
        assert caught.value.__context__ is None  # it would show what the model has said
        assert fussy.calls <= 2 * 200 + 2 * 15

    def test_the_first_rows_do_not_speak_for_all(self) -> None:
        values = [-0.5] * 400 + [0.5] * 9_600
        found = score(Fussy(), rows(*values), FailureTally("m@1/own", 0.9))
        assert np.isnan(found).tolist() == [True] * 400 + [False] * 9_600

    @pytest.mark.parametrize(("share", "stops"), [(0.99, True), (0.95, True), (0.7, False)])
    def test_the_share_decides(self, share: float, stops: bool) -> None:
        failing = int(share * 1_000)
        values = [-0.5] * failing + [0.5] * (1_000 - failing)
        tally = FailureTally("m@1/own", 0.9)
        if stops:
            with pytest.raises(ModelFailingError):
                score(Fussy(), rows(*values), tally)
        else:
            assert int(np.isnan(score(Fussy(), rows(*values), tally)).sum()) == failing

    def test_small_batches_add_up(self) -> None:
        tally = FailureTally("m@1/own", 0.9)
        for _ in range(19):
            score(Fussy(), rows(*[-0.5] * 10), tally)
        with pytest.raises(ModelFailingError, match=r"failed on 200 of 200 records, 100%"):
            score(Fussy(), rows(*[-0.5] * 10), tally)

    def test_what_went_well_before_delays_it_by_200_rows_at_most(self) -> None:
        tally = FailureTally("m@1/own", 0.9)
        for _ in range(3):
            score(Fussy(), rows(*[0.5] * 50_000), tally)
        score(Fussy(), rows(*[0.5] * 150), tally)
        score(Fussy(), rows(*[-0.5] * 50), tally)  # these end the count of 150 that went well
        with pytest.raises(ModelFailingError, match=r"failed on 200 of 200"):
            score(Fussy(), rows(*[-0.5] * 200), tally)

    def test_rows_without_an_exception_count_too(self) -> None:
        with pytest.raises(ModelFailingError, match="300 of 300 records, 100%, most often with no"):
            score(
                lambda batch: np.full(len(batch), np.nan), rows(*[1] * 300), FailureTally("m", 0.9)
            )

    def test_a_limit_of_1_never_stops(self) -> None:
        found = score(Fussy(), rows(*[-0.5] * 300), FailureTally("m@1/own", 1.0))
        assert np.isnan(found).all()

    def test_fewer_than_200_rows_say_nothing(self) -> None:
        found = score(Fussy(), rows(*[-0.5] * 199), FailureTally("m@1/own", 0.1))
        assert np.isnan(found).all()


def test_the_sum_of_failures_keeps_a_bounded_number_of_texts() -> None:
    from lib.score.workers.failures import merge_failures

    known: Counter[str] = Counter()
    for number in range(30):
        known = merge_failures(known, {f"text {number}": 2})
    assert len(known) == 21
    assert known.total() == 60
    assert known["other exceptions"] == 20


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
