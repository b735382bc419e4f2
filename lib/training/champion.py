"""Compares a new model with the champion on the rows of the training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from lib.errors import ModelNotFoundError, ScoringError
from lib.record.contract import Contract
from lib.score.loading import load_model
from lib.score.registry import DEFAULT
from lib.store import ModelStore, ModelVersion
from lib.training.data import TrainingData
from lib.training.evaluation import FOLDS, Integers, Probabilities
from lib.training.paired.estimate import Estimate
from lib.training.selection import compare

AS_SAVED = "The champion as it is saved scored the rows of this training."
FITTED_AGAIN = (
    "The champion was trained on the same data, so that its own scores of them are too good. Its"
    " pipeline was fitted again on the folds of this training."
)


@dataclass(frozen=True)
class ChampionComparison:
    """The new model beside the champion, on the same rows.

    Attributes:
        reference: the champion, like ``NAME@3``.
        method: a sentence that says how the champion scored the rows.
        difference: the new model's log loss less the champion's.
        roc_auc: the champion's ROC-AUC over all rows.
    """

    reference: str
    method: str
    difference: Estimate
    roc_auc: float


def compare_with_champion(
    store: ModelStore,
    name: str,
    data: TrainingData,
    probabilities: Probabilities,
    folds: Integers,
    contract: Contract,
) -> ChampionComparison | str:
    """Compare held-out probabilities with those of the champion, or say why they cannot be.

    Args:
        store: the store of the champion.
        name: the name of the model.
        data: the rows.
        probabilities: float64 [n_rows], each from a model that has not seen the row.
        folds: the fold that held each row out, int64 [n_rows].
        contract: the contract of the rows.
    """
    try:
        champion = store.resolve(f"{name}@{store.read_champion(name)}", contract=contract)
        if _has_same_data(champion, data):
            scores, method = _fit_again(champion, data, folds), FITTED_AGAIN
        else:
            scores, method = _score(champion, data), AS_SAVED
    except ModelNotFoundError:
        return "There was no champion."
    except (ScoringError, ValueError, TypeError, OSError) as error:
        return f"The champion cannot score these rows: {error}"
    return ChampionComparison(
        champion.reference,
        method,
        compare(data.labels, probabilities, scores),
        float(roc_auc_score(data.labels, scores)),
    )


def _has_same_data(champion: ModelVersion, data: TrainingData) -> bool:
    """Tell whether the champion was trained on the same file, or on synthetic records too."""
    training = champion.metadata.training
    return all(training.get(key) == data.origin.get(key) for key in ("source", "sha256"))


def _score(champion: ModelVersion, data: TrainingData) -> Probabilities:
    return load_model(DEFAULT, champion.path).predict(data.features)[1]


def _fit_again(champion: ModelVersion, data: TrainingData, folds: Integers) -> Probabilities:
    fitted = load_model(DEFAULT, champion.path).model
    probabilities = np.empty(data.rows)
    for fold in range(FOLDS):
        held_out = folds == fold
        known = data.select(~held_out)
        pipeline = clone(fitted).fit(known.features, known.labels)
        probabilities[held_out] = pipeline.predict_proba(data.features[held_out])[:, 1]
    return probabilities
