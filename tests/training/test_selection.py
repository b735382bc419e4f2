"""Candidates are compared row by row; the simplest within one standard error is chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib.errors import SettingsError
from lib.record.contract_file import parse_contract
from lib.training.candidates import CANDIDATES, Candidate
from lib.training.data import TrainingData
from lib.training.evaluation import assign_folds
from lib.training.paired.estimate import Estimate
from lib.training.selection import (
    Trial,
    choose,
    choose_simplest,
    compare,
    compare_with_best,
    cross_validate,
)

CONTRACT = parse_contract(
    """
name = "pumps"
[identifier]
name = "pump"
[label]
name = "state"
negative = "runs"
positive = "fails"
[[features]]
name = "wet"
kind = "boolean"
[[features]]
name = "hot"
kind = "boolean"
[[features]]
name = "age"
kind = "number"
minimum = 0
maximum = 10
nullable = true
""",
    "pumps.toml",
)
LOGISTIC, INTERACTIONS, BOOSTING = CANDIDATES.values()


def make_pumps(rows: int, seed: int) -> TrainingData:
    """Make pumps that fail where exactly one of two things is true, nine times in ten."""
    random = np.random.default_rng(seed)
    wet, hot = random.integers(0, 2, rows), random.integers(0, 2, rows)
    age = np.where(random.random(rows) < 0.1, np.nan, random.uniform(0, 10, rows))
    labels = (wet != hot) ^ (random.random(rows) < 0.1)
    features = pd.DataFrame({"wet": wet, "hot": hot, "age": age})
    return TrainingData(features, labels.astype(np.int64))


def as_trial(candidate: Candidate, *probabilities: float) -> Trial:
    return Trial(candidate, np.array(probabilities), [])


def test_the_candidates_are_ordered_from_simple_to_complex() -> None:
    assert list(CANDIDATES) == ["logistic", "logistic-interactions", "hist-gradient-boosting"]
    assert [it.is_in_spark for it in CANDIDATES.values()] == [True, False, False]


def test_a_difference_is_the_mean_over_rows_with_its_standard_error() -> None:
    labels = np.array([1, 0, 1, 0])
    first, second = np.array([0.5, 0.5, 0.5, 0.5]), np.array([0.8, 0.2, 0.5, 0.5])
    difference = compare(labels, first, second)
    # ln 0.8 - ln 0.5 = 0.470004 for two rows, and 0 for two.
    assert difference.mean == pytest.approx(0.235002, abs=1e-6)
    assert difference.error == pytest.approx(0.135678, abs=1e-6)
    assert not difference.is_within_error


def test_the_best_is_within_its_own_error() -> None:
    labels = np.array([1, 0])
    trials = [as_trial(LOGISTIC, 0.5, 0.5), as_trial(BOOSTING, 0.9, 0.1)]
    differences = compare_with_best(labels, trials)
    assert differences[1] == Estimate(0.0, 0.0)
    assert differences[0].mean == pytest.approx(0.587787, abs=1e-6)


@pytest.mark.parametrize(
    ("means", "fast", "expected"),
    [
        # All three are near the best: the simplest.
        ((0.001, 0.001, 0.0), {"logistic"}, "logistic"),
        # The simplest is too bad.
        ((0.003, 0.001, 0.0), {"logistic-interactions"}, "logistic-interactions"),
        # It alone is near the best, so nobody asks for its engines.
        ((0.003, 0.003, 0.0), set(), "hist-gradient-boosting"),
        # No fast engine scores the simplest of those that are near.
        ((0.003, 0.001, 0.0), {"hist-gradient-boosting"}, "hist-gradient-boosting"),
        # No fast engine scores any.
        ((0.003, 0.001, 0.0), set(), "logistic-interactions"),
    ],
)
def test_the_simplest_near_the_best_wins(
    means: tuple[float, ...], fast: set[str], expected: str
) -> None:
    trials = [as_trial(candidate) for candidate in CANDIDATES.values()]
    differences = [Estimate(mean, 0.002 if mean else 0.0) for mean in means]

    chosen = choose_simplest(trials, differences, lambda it: it.candidate.name in fast)

    assert chosen.candidate.name == expected


def test_what_depends_on_two_fields_together_takes_interactions() -> None:
    data = make_pumps(600, seed=1)
    folds = assign_folds(data.labels, seed=0)

    choice = choose(
        data,
        list(CANDIDATES.values()),
        folds=folds,
        seed=0,
        contract=CONTRACT,
        is_fast=lambda candidate: True,
    )

    losses = {
        trial.candidate.name: difference.mean
        for trial, difference in zip(choice.trials, choice.differences, strict=True)
    }
    assert losses["logistic"] > 0.25
    assert choice.winner.candidate.name in ("logistic-interactions", "hist-gradient-boosting")
    assert choice.left_out == {}


def test_each_row_is_scored_by_a_model_that_has_not_seen_it() -> None:
    data = make_pumps(100, seed=2)
    folds = assign_folds(data.labels, seed=0)
    trial = cross_validate(LOGISTIC, data, folds, CONTRACT, seed=0)

    # With another label in one row, that row keeps its score: no model of its own fold has it.
    labels = data.labels.copy()
    labels[7] = 1 - labels[7]
    changed = cross_validate(LOGISTIC, replace(data, labels=labels), folds, CONTRACT, seed=0)

    same = folds == folds[7]
    np.testing.assert_array_equal(changed.probabilities[same], trial.probabilities[same])
    assert not np.array_equal(changed.probabilities[~same], trial.probabilities[~same])


def test_parameters_are_chosen_among_the_given_ones() -> None:
    data = make_pumps(200, seed=3)
    fitted = INTERACTIONS.fit(data, CONTRACT, seed=0)
    chosen = INTERACTIONS.describe_choice(fitted)
    assert chosen["interact__transformer_weights"] in ({"pairs": 0.1}, {"pairs": 0.3})
    assert LOGISTIC.describe_choice(LOGISTIC.fit(data, CONTRACT, seed=0)) == {}


def test_a_candidate_whose_matrix_is_too_large_is_left_out() -> None:
    # The encoding has two booleans, the age and whether it is missing: 4 columns, 10 with pairs.
    assert INTERACTIONS.find_obstacle(CONTRACT, 10_000_000) is None
    assert INTERACTIONS.find_obstacle(CONTRACT, 10_000_001) == (
        "its matrix would have 100,000,010 values, more than 100,000,000"
    )
    assert LOGISTIC.find_obstacle(CONTRACT, 10**9) is None
    assert BOOSTING.find_obstacle(CONTRACT, 10**9) is None


def test_no_candidate_left_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    from lib.training import candidates

    monkeypatch.setattr(candidates, "_MAX_VALUES", 100)
    data = make_pumps(50, seed=4)
    with pytest.raises(SettingsError, match="--candidates logistic-interactions: its matrix"):
        choose(
            data,
            [INTERACTIONS],
            folds=assign_folds(data.labels, seed=0),
            seed=0,
            contract=CONTRACT,
            is_fast=lambda candidate: True,
        )


def test_a_pipeline_of_every_candidate_loads_where_this_project_is_not_installed(
    tmp_path: Path,
) -> None:
    import joblib

    from tests.support.process import run_python

    data = make_pumps(100, seed=5)
    for name, candidate in CANDIDATES.items():
        pipeline = candidate.build(CONTRACT).fit(data.features, data.labels)
        joblib.dump(pipeline, tmp_path / f"{name}.joblib")
    program = (
        "import sys; sys.modules['lib'] = None; import joblib, pathlib;"
        f"print(*[joblib.load(it).classes_.tolist() for it in pathlib.Path({str(tmp_path)!r})"
        ".glob('*.joblib')])"
    )
    assert run_python("-c", program).stdout == "[0, 1] [0, 1] [0, 1]\n"
