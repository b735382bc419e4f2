"""The kinds of models that training tries, the simplest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from lib.record.contract import Contract
from lib.settings.jobs.train import CandidateName
from lib.training.data import TrainingData
from lib.training.encoding import build_encoding
from lib.training.penalty import INVERSE_PENALTY
from lib.training.sklearn_pipeline import (
    CLASSIFY,
    SCALE,
    Steps,
    build_logistic_steps,
    build_sklearn_pipeline,
)

#: The step that appends the products of all pairs of columns, and its part with the products.
INTERACT, PAIRS = "interact", "pairs"
_INNER_FOLDS = 3
# The weights of a pair's product to choose from; a column has the weight 1.
_WEIGHTS = (0.1, 0.3)
# A matrix of float64 with so many values takes 0.8 GB, and the steps make several copies of it.
_MAX_VALUES = 100_000_000


@dataclass(frozen=True)
class Candidate:
    """A kind of model.

    Attributes:
        name: the name in the setting ``--candidates``.
        title: the name for people.
        build_steps: a function that makes the unfitted steps behind the encoding.
        grid: parameters of the pipeline → the values from which cross-validation within the
            training rows chooses; empty if there is nothing to choose.
        is_in_spark: whether Spark fits the same function, as a second engine.
        has_pairs: whether the matrix has a column for each pair of the encoding's columns.
    """

    name: CandidateName
    title: str
    build_steps: Callable[[], Steps]
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    is_in_spark: bool = False
    has_pairs: bool = False

    def build(self, contract: Contract) -> Pipeline:
        """Build the unfitted pipeline; see :func:`build_sklearn_pipeline`."""
        return build_sklearn_pipeline(contract, self.build_steps())

    def fit(self, data: TrainingData, contract: Contract, seed: int) -> Pipeline:
        """Choose the parameters by cross-validation within these rows, and fit on all of them.

        Args:
            data: the rows to learn from, which are also those that choose.
            contract: the contract of the features.
            seed: the seed of the inner folds.
        """
        pipeline = self.build(contract)
        if not self.grid:
            return pipeline.fit(data.features, data.labels)
        folds = StratifiedKFold(_INNER_FOLDS, shuffle=True, random_state=seed)
        search = GridSearchCV(pipeline, self.grid, scoring="neg_log_loss", cv=folds)
        fitted: Pipeline = search.fit(data.features, data.labels).best_estimator_
        return fitted

    def find_obstacle(self, contract: Contract, rows: int) -> str | None:
        """Say why the candidate cannot be tried on so many rows; None if it can."""
        width = build_encoding(contract).width
        values = rows * width * (width + 1) // 2
        if not self.has_pairs or values <= _MAX_VALUES:
            return None
        return f"its matrix would have {values:,} values, more than {_MAX_VALUES:,}"

    def describe_choice(self, pipeline: Pipeline) -> dict[str, Any]:
        """Return parameter → the chosen value, of a fitted pipeline."""
        parameters = pipeline.get_params()
        return {name: parameters[name] for name in self.grid}


def _build_interaction_steps() -> Steps:
    """Build a logistic regression on the columns and on the scaled products of their pairs.

    A product has less weight than a column, so that its coefficient is penalised more: there are
    many products, and most of them say nothing.
    """
    pairs = Pipeline(
        [
            ("multiply", PolynomialFeatures(2, interaction_only=True, include_bias=False)),
            ("scale", StandardScaler()),
        ]
    )
    parts = [("columns", "passthrough"), (PAIRS, pairs)]
    return [
        (SCALE, StandardScaler()),
        (INTERACT, FeatureUnion(parts, transformer_weights={PAIRS: _WEIGHTS[0]})),
        (CLASSIFY, LogisticRegression(C=INVERSE_PENALTY, max_iter=1_000)),
    ]


def _build_boosting_steps() -> Steps:
    boosting = HistGradientBoostingClassifier(
        max_iter=150, l2_regularization=5.0, min_samples_leaf=40, early_stopping=False
    )
    return [(CLASSIFY, boosting)]


#: Name → candidate, the simplest first.
CANDIDATES: dict[str, Candidate] = {
    it.name: it
    for it in (
        Candidate("logistic", "logistic regression", build_logistic_steps, is_in_spark=True),
        Candidate(
            "logistic-interactions",
            "logistic regression with the products of all pairs of columns",
            _build_interaction_steps,
            grid={f"{INTERACT}__transformer_weights": [{PAIRS: weight} for weight in _WEIGHTS]},
            has_pairs=True,
        ),
        Candidate(
            "hist-gradient-boosting",
            "histogram gradient boosting",
            _build_boosting_steps,
            grid={f"{CLASSIFY}__max_leaf_nodes": [3, 8], f"{CLASSIFY}__learning_rate": [0.05, 0.1]},
        ),
    )
}
