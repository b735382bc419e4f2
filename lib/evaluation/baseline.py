"""Finds what a version's training promised, and tells whether its outcomes fall short of that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from lib.errors import ModelError
from lib.evaluation.quality import Estimate
from lib.store import ModelStore
from lib.training.evaluation import FOLDS

_Z = 1.959964


@dataclass(frozen=True)
class Baseline:
    """The quality of a version in its training.

    Attributes:
        roc_auc: the mean ROC-AUC over the folds.
        error: the standard error of that mean.
        brier: the mean Brier score; None if it was not measured.
    """

    roc_auc: float
    error: float
    brier: float | None


def find_baseline(store: Path, version: str) -> Baseline | None:
    """Find the quality of a version in its training; None for a version that is not in the store.

    Args:
        store: the folder of the model store.
        version: the version as predictions name it, without its engine: ``NAME@VERSION``.
    """
    try:
        metrics = ModelStore(store).resolve(version).metadata.metrics
    except ModelError:
        return None
    measured = next((it for it in metrics.values() if "roc_auc" in it), None)
    if measured is None:
        return None
    brier = measured.get("brier", {}).get("mean")
    folds = measured["roc_auc"]
    return Baseline(folds["mean"], folds["std"] / math.sqrt(FOLDS), brier)


def is_below(found: Estimate | None, baseline: Baseline | None) -> bool | None:
    """Tell whether a ROC-AUC is below the training's by more than chance explains.

    The training's mean is uncertain too: the two distances, of the interval's upper end and of the
    training's, add as squares. None if one of the two is not known.
    """
    if found is None or found.high is None or baseline is None:
        return None
    reach = math.hypot(found.high - found.value, _Z * baseline.error)
    return found.value + reach < baseline.roc_auc
