"""Evaluate trees in numpy, as a reference for graphs."""

from __future__ import annotations

from typing import Any

import numpy as np

from lib.training.compile.trees import Ensemble


def evaluate(ensemble: Ensemble, rows: Any) -> Any:
    """Return the probability of the second class: float64 [n_rows]."""
    values = rows.astype(np.float32).astype(np.float64) if ensemble.takes_float32 else rows
    total = np.full(len(rows), ensemble.base)
    every = np.arange(len(rows))
    for tree in ensemble.trees:
        at = np.zeros(len(rows), np.int64)
        while not tree.is_leaf[at].all():
            found = values[every, tree.feature[at]]
            is_left = np.where(np.isnan(found), tree.missing_left[at], found <= tree.split[at])
            at = np.where(tree.is_leaf[at], at, np.where(is_left, tree.left[at], tree.right[at]))
        total += tree.value[at]
    return 1 / (1 + np.exp(-total)) if ensemble.gives_log_odds else total
