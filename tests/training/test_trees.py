"""The trees of a classifier, read as arrays, give its own probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from lib.training.compile.trees import has_trees, read_ensemble
from tests.support.trees import evaluate

RNG = np.random.default_rng(11)
# Few different numbers, some of which no float32 holds, so that many rows lie on a split.
ROWS = RNG.choice([0.1, 0.2, 0.30000000000000004, 1.0, 1.1, 7.7], (600, 4))
LABELS = (ROWS[:, 0] + ROWS[:, 1] * ROWS[:, 2] + RNG.normal(0, 1, 600) > 2).astype(int)

CLASSIFIERS = {
    "a tree": DecisionTreeClassifier(max_depth=6, random_state=0),
    "a random forest": RandomForestClassifier(25, max_depth=7, random_state=0),
    "extremely random trees": ExtraTreesClassifier(25, max_depth=7, random_state=0),
    "gradient boosting": GradientBoostingClassifier(n_estimators=30, random_state=0),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=30, random_state=0),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_trees_give_the_probability(name: str) -> None:
    classifier: Any = CLASSIFIERS[name].fit(ROWS, LABELS)
    rows = np.vstack([ROWS, np.nextafter(ROWS, 9.0), np.nextafter(ROWS, 0.0)])
    assert has_trees(classifier)
    np.testing.assert_allclose(
        evaluate(read_ensemble(classifier), rows),
        classifier.predict_proba(rows)[:, 1],
        rtol=0,
        atol=1e-12,
    )


def test_missing_numbers_take_the_branch_that_was_learned() -> None:
    rows = ROWS.copy()
    rows[::4, 0] = np.nan
    classifier = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(rows, LABELS)
    makers = classifier.predict_proba(rows)[:, 1]
    np.testing.assert_allclose(
        evaluate(read_ensemble(classifier), rows), makers, rtol=0, atol=1e-12
    )


def test_what_cannot_be_read_is_refused() -> None:
    assert not has_trees(LogisticRegression())
    exponential = GradientBoostingClassifier(loss="exponential", n_estimators=3).fit(ROWS, LABELS)
    with pytest.raises(ValueError, match="found the loss exponential, expected log_loss"):
        read_ensemble(exponential)
    codes = (ROWS * 10).astype(int)
    by_category = HistGradientBoostingClassifier(categorical_features=[0], max_iter=3)
    with pytest.raises(ValueError, match="found splits by category"):
        read_ensemble(by_category.fit(codes, LABELS))
