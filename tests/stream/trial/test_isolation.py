"""A shadow's failing rows are found with few calls, and within its time."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from lib.score.workers.halves import ColumnRows
from lib.stream.trial.isolation import MOST_CALLS, score_rows


class Model:
    """A model that raises if one of some numbers is among its rows."""

    def __init__(self, *bad: int) -> None:
        self.bad = bad
        self.calls = 0

    def __call__(self, rows: ColumnRows) -> Any:
        self.calls += 1
        if np.isin(rows.columns["x"], self.bad).any():
            raise ZeroDivisionError
        return rows.columns["x"] / 1_000_000


def score(model: Model, count: int, until_s: float = np.inf) -> Any:
    return score_rows(model, ColumnRows({"x": np.arange(count)}), until_s)


def test_rows_that_do_not_fail_take_one_call() -> None:
    model = Model()

    found = score(model, 10_000)

    assert model.calls == 1
    assert found.probabilities[9_999] == 0.009999
    assert (found.errors == None).all()  # noqa: E711 - for each element


def test_one_failing_row_of_many_is_found_alone() -> None:
    model = Model(4_321)

    found = score(model, 10_000)

    assert np.flatnonzero(found.errors == "ZeroDivisionError").tolist() == [4_321]
    assert np.flatnonzero(np.isnan(found.probabilities)).tolist() == [4_321]
    assert model.calls <= 29


def test_calls_are_bounded_however_many_rows_fail() -> None:
    model = Model(*range(0, 10_000, 7))

    found = score(model, 10_000)

    assert model.calls == MOST_CALLS
    assert (found.errors[::7] == "ZeroDivisionError").all()


def test_groups_are_halved_evenly_so_that_few_failing_rows_cost_few_answers() -> None:
    found = score(Model(*range(0, 10_000, 1_250)), 10_000)

    # Eight failing rows: 64 calls leave each in a group of at most 1/64 of all.
    assert np.count_nonzero(np.isnan(found.probabilities)) <= 8 * 10_000 / 32


def test_no_group_is_halved_when_time_is_over() -> None:
    model = Model(1)

    found = score(model, 8, until_s=time.monotonic() - 1)

    assert model.calls == 1
    assert found.errors.tolist() == ["ZeroDivisionError"] * 8


def test_no_rows_take_no_call() -> None:
    model = Model()

    assert score(model, 0).probabilities.shape == (0,)
    assert model.calls == 0
