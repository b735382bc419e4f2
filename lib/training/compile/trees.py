"""Reads the trees of fitted classifiers as arrays, which a graph takes.

The classifiers are those of scikit-learn, LightGBM and XGBoost, of which the latter two need not be
installed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]

_FORESTS = (RandomForestClassifier, ExtraTreesClassifier)
_TREES = (
    DecisionTreeClassifier,
    *_FORESTS,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
)


@dataclass(frozen=True)
class Nodes:
    """The nodes of one tree, in the order of their numbers; each array is [n_nodes].

    Attributes:
        feature: the column that is compared.
        split: the number up to which a row goes to the left, inclusive.
        left, right: the numbers of the next nodes; 0 in a leaf.
        missing_left: whether a row with NaN goes to the left.
        is_leaf: whether the node has no next ones.
        value: the number that a leaf adds to the sum of all trees.
    """

    feature: Integers
    split: Numbers
    left: Integers
    right: Integers
    missing_left: Truths
    is_leaf: Truths
    value: Numbers


@dataclass(frozen=True)
class Ensemble:
    """Trees whose values are added up.

    Attributes:
        trees: the nodes of each tree.
        base: the number that the sum begins with.
        gives_log_odds: whether the sum is the log odds of the second class, or its probability.
        takes_float32: whether the classifier rounds each column to float32 before it compares.
    """

    trees: tuple[Nodes, ...]
    base: float
    gives_log_odds: bool
    takes_float32: bool


def has_trees(classifier: Any) -> bool:
    """Tell whether :func:`read_ensemble` knows a classifier."""
    library = type(classifier).__module__.partition(".")[0]
    return isinstance(classifier, _TREES) or library in _READERS


def read_ensemble(classifier: Any) -> Ensemble:
    """Read the trees of a fitted classifier of two classes.

    Args:
        classifier: a classifier for which :func:`has_trees` is true.

    Raises:
        ValueError: its trees split by category, or its sum is no log odds.
    """
    library = type(classifier).__module__.partition(".")[0]
    if library in _READERS:
        return _READERS[library](classifier)
    if isinstance(classifier, HistGradientBoostingClassifier):
        trees = tuple(_read_predictor(tree.nodes) for (tree,) in classifier._predictors)
        base = float(classifier._baseline_prediction.ravel()[0])
        return Ensemble(trees, base, gives_log_odds=True, takes_float32=False)
    if isinstance(classifier, GradientBoostingClassifier):
        if classifier.loss != "log_loss":
            raise ValueError(f"found the loss {classifier.loss}, expected log_loss")
        rate = classifier.learning_rate
        trees = tuple(
            _read_tree(it.tree_, it.tree_.value[:, 0, 0] * rate)
            for it in classifier.estimators_[:, 0]
        )
        row = np.zeros((1, classifier.n_features_in_), np.float32)
        base = float(classifier._raw_predict_init(row)[0, 0])
        return Ensemble(trees, base, gives_log_odds=True, takes_float32=True)
    members = classifier.estimators_ if isinstance(classifier, _FORESTS) else [classifier]
    trees = tuple(_read_tree(it.tree_, _share(it.tree_) / len(members)) for it in members)
    return Ensemble(trees, 0.0, gives_log_odds=False, takes_float32=True)


def _read_predictor(nodes: Any) -> Nodes:
    if nodes["is_categorical"].any():
        raise ValueError("found splits by category, expected columns of numbers only")
    is_leaf = nodes["is_leaf"].astype(bool)
    return Nodes(
        feature=np.where(is_leaf, 0, nodes["feature_idx"]).astype(np.int64),
        split=np.where(is_leaf, 0.0, nodes["num_threshold"]),
        left=np.where(is_leaf, 0, nodes["left"]).astype(np.int64),
        right=np.where(is_leaf, 0, nodes["right"]).astype(np.int64),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        is_leaf=is_leaf,
        value=nodes["value"].astype(np.float64),
    )


def _read_tree(tree: Any, value: Numbers) -> Nodes:
    is_leaf = tree.children_left == tree.children_right
    return Nodes(
        feature=np.where(is_leaf, 0, tree.feature).astype(np.int64),
        split=np.where(is_leaf, 0.0, tree.threshold),
        left=np.where(is_leaf, 0, tree.children_left).astype(np.int64),
        right=np.where(is_leaf, 0, tree.children_right).astype(np.int64),
        missing_left=np.asarray(tree.missing_go_to_left, bool),
        is_leaf=is_leaf,
        value=np.asarray(value, np.float64),
    )


def _share(tree: Any) -> Numbers:
    """Return the share of the second class in each node of a classifier's tree."""
    counts: Numbers = tree.value[:, 0, :]
    shares: Numbers = counts[:, 1] / counts.sum(axis=1)
    return shares


def _read_lightgbm(classifier: Any) -> Ensemble:
    described = classifier.booster_.dump_model()
    if not str(described["objective"]).startswith("binary") or described["average_output"]:
        raise ValueError(f"found the objective {described['objective']}, expected binary")
    trees = tuple(
        _number_nodes(tree["tree_structure"], _read_lightgbm_node)
        for tree in described["tree_info"]
    )
    return Ensemble(trees, 0.0, gives_log_odds=True, takes_float32=False)


def _read_lightgbm_node(node: dict[str, Any]) -> _Split | float:
    if "leaf_value" in node:
        return float(node["leaf_value"])
    if node["decision_type"] != "<=" or node["missing_type"] == "Zero":
        raise ValueError(
            f"found a split by {node['decision_type']} with missing values as"
            f" {node['missing_type']}, expected numbers"
        )
    children = (node["left_child"], node["right_child"])
    # Without missing values in training a missing number counts as zero.
    is_left = node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0
    return _Split(node["split_feature"], node["threshold"], is_left, children)


def _read_xgboost(classifier: Any) -> Ensemble:
    booster = classifier.get_booster()
    learner = json.loads(booster.save_config())["learner"]
    if learner["objective"]["name"] != "binary:logistic":
        raise ValueError(f"found the objective {learner['objective']['name']}, expected logistic")
    share = float(learner["learner_model_param"]["base_score"].strip("[]"))
    names = booster.feature_names
    read = partial(_read_xgboost_node, {it: at for at, it in enumerate(names or ())})
    trees = tuple(
        _number_nodes(json.loads(text), read) for text in booster.get_dump(dump_format="json")
    )
    base = float(np.log(share / (1 - share)))
    return Ensemble(trees, base, gives_log_odds=True, takes_float32=True)


def _read_xgboost_node(positions: dict[str, int], node: dict[str, Any]) -> _Split | float:
    if "leaf" in node:
        return float(np.float32(node["leaf"]))
    if isinstance(node["split_condition"], list):
        raise ValueError("found splits by category, expected columns of numbers only")
    by_number = {child["nodeid"]: child for child in node["children"]}
    name = node["split"]
    feature = positions[name] if name in positions else int(name.removeprefix("f"))
    # XGBoost goes to the left below the number, and the others up to it.
    split = np.nextafter(np.float32(node["split_condition"]), np.float32(-np.inf))
    children = (by_number[node["yes"]], by_number[node["no"]])
    return _Split(feature, float(split), node["missing"] == node["yes"], children)


@dataclass(frozen=True)
class _Split:
    """A node with two next ones; see :class:`Nodes`."""

    feature: int
    split: float
    missing_left: bool
    children: tuple[dict[str, Any], dict[str, Any]]


def _number_nodes(root: dict[str, Any], read: Callable[[dict[str, Any]], _Split | float]) -> Nodes:
    """Number the nodes of a nested tree in the order in which they are met."""
    pending, rows = [root], []
    for node in pending:  # it grows meanwhile
        found = read(node)
        if isinstance(found, _Split):
            split = (found.feature, found.split, found.missing_left, False, 0.0)
            rows.append((*split, len(pending), len(pending) + 1))
            pending.extend(found.children)
        else:
            rows.append((0, 0.0, False, True, found, 0, 0))
    feature, split, missing_left, is_leaf, value, left, right = zip(*rows, strict=True)
    return Nodes(
        feature=np.array(feature, np.int64),
        split=np.array(split, np.float64),
        left=np.array(left, np.int64),
        right=np.array(right, np.int64),
        missing_left=np.array(missing_left, bool),
        is_leaf=np.array(is_leaf, bool),
        value=np.array(value, np.float64),
    )


# Library → what reads its classifiers.
_READERS: dict[str, Callable[[Any], Ensemble]] = {
    "lightgbm": _read_lightgbm,
    "xgboost": _read_xgboost,
}
