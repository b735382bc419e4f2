"""Derives the effects of each field from a fitted linear model, from the means of its training."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from lib.errors import ModelError
from lib.messages.effects import Effects, FieldEffects, add_up
from lib.record.contract import Contract
from lib.training.encoding import build_encoding
from lib.training.sklearn_pipeline import CLASSIFY, ENCODE, SCALE

#: The largest difference in probability between the model and the sum of its effects.
MAX_DIFFERENCE = 1e-6
_STEPS = ["read", ENCODE, SCALE, CLASSIFY]


def derive_effects(
    pipeline: Pipeline, features: pd.DataFrame, contract: Contract
) -> Effects | None:
    """Derive the effects of a linear pipeline, and compare their sum with its probability.

    In log odds a field adds weight · (value − mean) / deviation over its columns, with the mean and
    the deviation of the training data, which the pipeline's scaler holds.

    Args:
        pipeline: a fitted pipeline.
        features: the features that it was fitted on.
        contract: the contract of the features.

    Returns:
        The effects; None if the pipeline is not that of ``build_sklearn_pipeline``.

    Raises:
        ModelError: their sum is not the log odds of the pipeline.
    """
    effects = _derive(pipeline, contract)
    if effects is not None:
        log_odds = np.array(add_up(effects, {str(k): it.tolist() for k, it in features.items()}))
        difference = 1 / (1 + np.exp(-log_odds)) - pipeline.predict_proba(features)[:, 1]
        worst = float(np.max(np.abs(difference)))
        if not worst <= MAX_DIFFERENCE:
            raise ModelError(
                f"trained model: found the sum of its effects {worst:.2g} apart in probability,"
                f" expected at most {MAX_DIFFERENCE:g}",
                hint="report it, with the contract",
            )
    return effects


def _derive(pipeline: Pipeline, contract: Contract) -> Effects | None:
    if list(pipeline.named_steps) != _STEPS or not isinstance(pipeline[-1], LogisticRegression):
        return None
    scaler, regression = pipeline.named_steps[SCALE], pipeline[-1]
    weights = iter((regression.coef_[0] / scaler.scale_).tolist())
    means = iter(scaler.mean_.tolist())
    encoding = build_encoding(contract)
    offsets = dict.fromkeys(contract.feature_names, 0.0)
    slopes, missing = dict(offsets), dict(offsets)
    additions: dict[str, dict[str | int, float]] = {name: {} for name in offsets}

    def take(name: str) -> float:
        """Take the weight of the next column, which belongs to a field."""
        weight: float = next(weights)
        offsets[name] -= weight * next(means)
        return weight

    for group in encoding.indicators:
        for value in group.values:
            additions[group.field.name][value] = take(group.field.name)
    for field in (*encoding.numbers, *encoding.nullable):
        slopes[field.name] = take(field.name)
    for field in encoding.nullable:
        missing[field.name] = take(field.name)
    fields = tuple(
        FieldEffects(
            name,
            offsets[name],
            slopes[name],
            offsets[name] + missing[name],
            tuple(additions[name].items()),
        )
        for name in contract.feature_names
        if slopes[name] or additions[name]  # free text has no column
    )
    return Effects(float(regression.intercept_[0]), fields)
