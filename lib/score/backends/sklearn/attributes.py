"""Reads what fitted models of scikit-learn's form tell of themselves."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from lib.errors import ModelError, ModelMismatchError
from lib.score.admission.classes import list_classes, name_class
from lib.score.scorer import DEFAULT_THRESHOLD

# The attributes with the names of the columns in scikit-learn and XGBoost, CatBoost, and LightGBM.
_NAMES = ("feature_names_in_", "feature_names_", "feature_name_")
# The names that LightGBM and CatBoost make up for columns that have none.
_MADE_UP = re.compile(r"(Column_)?\d+")

# Older releases take the position of a category among those of the batch.
_XGBOOST_WITH_CATEGORIES = (3, 1)


def list_columns(model: Any) -> list[str] | None:
    """List the columns that a model was fitted with; None if it does not know their names."""
    for attribute in _NAMES:
        names: Any = None
        with suppress(Exception):  # some libraries raise an error of their own if they have none
            names = getattr(model, attribute, None)
        # Some objects have a value for any attribute.
        listed = [str(it) for it in names] if isinstance(names, np.ndarray | list | tuple) else []
        if not all(_MADE_UP.fullmatch(it) for it in listed):
            return listed
    return None


def find_threshold(model: Any, positive: int) -> float:
    """Find the probability from which a model itself predicts the positive class.

    Args:
        model: a fitted classifier of two classes, or a pipeline that ends with one.
        positive: the position of the positive class, 0 or 1.

    Raises:
        ModelError: the model's threshold is for something else than that class's probability.
    """
    from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
    from sklearn.pipeline import Pipeline

    last = model.steps[-1][1] if isinstance(model, Pipeline) else model
    if isinstance(last, TunedThresholdClassifierCV):
        threshold, label = last.best_threshold_, last._curve_scorer._get_pos_label()
    elif isinstance(last, FixedThresholdClassifier) and last.threshold != "auto":
        threshold, label = last.threshold, last.pos_label
    else:
        return DEFAULT_THRESHOLD
    first, second = map(name_class, list_classes(last) or ())
    wanted, method = (first, second)[positive], _find_method(last)
    found = second if label is None else name_class(label)
    if found != wanted or method != "predict_proba":
        raise ModelError(
            f"{type(last).__name__}: found a threshold for {method} of class {found!r}, expected"
            f" one for predict_proba of class {wanted!r}",
            hint="fit it with response_method='predict_proba' and this class as pos_label",
        )
    return float(threshold)


def _find_method(model: Any) -> str:
    """Find the method whose values the threshold is compared with."""
    method: str = model.response_method
    if method != "auto":
        return method
    inner = getattr(model, "estimator_", model.estimator)
    return "predict_proba" if hasattr(inner, "predict_proba") else "decision_function"


def are_texts_categories(model: Any, name: str) -> bool:
    """Tell whether a model of LightGBM or XGBoost was fitted on texts of the type ``category``.

    Args:
        model: a fitted model.
        name: the name of model and backend, for messages.

    Raises:
        ModelMismatchError: the installed XGBoost takes categories by their position in a batch.
    """
    library = type(model).__module__.partition(".")[0]
    if library == "lightgbm":
        return bool(model.booster_.pandas_categorical)
    if library != "xgboost" or "c" not in (model.get_booster().feature_types or ()):
        return False
    installed: str = sys.modules["xgboost"].__version__
    if tuple(map(int, installed.split(".")[:2])) < _XGBOOST_WITH_CATEGORIES:
        raise ModelMismatchError(
            f"{name}: found categories and xgboost {installed}, expected xgboost 3.1 or newer,"
            " which stores them in the model",
            hint="upgrade xgboost and fit the model again, or encode the texts in a pipeline",
        )
    return True


def refuse_other_columns(model: Any, given: Sequence[str], name: str) -> None:
    """Refuse names that a caller gives to a model that knows others, or takes more or fewer.

    Raises:
        ModelMismatchError: the model takes other columns.
    """
    known = list_columns(model)
    if known not in (None, list(given)):
        raise ModelMismatchError(
            f"{name}: found {list(given)} in --columns, expected {known}, which the model knows",
            hint="leave --columns out",
        )
    width = getattr(model, "n_features_in_", None)
    if isinstance(width, int) and width != len(given):
        raise ModelMismatchError(
            f"{name}: found {len(given)} names in --columns, expected {width}: the model takes so"
            " many columns",
            hint="name the columns that it was fitted on, in its order",
        )
