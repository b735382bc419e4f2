"""Holds what a training has found, from which the report of the version is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lib.record.contract import Contract
from lib.training.champion import ChampionComparison
from lib.training.data import TrainingData
from lib.training.evaluation import Metrics, Probabilities, Threshold
from lib.training.report.importance import Importance


@dataclass(frozen=True)
class Findings:
    """The findings that the report is written from.

    Attributes:
        name: the name of the model.
        now: the time of the training, with a time zone.
        data: the rows that the model has learnt from.
        contract: the contract of the features.
        probabilities: float64 [n_rows], each from a model that has not seen the row.
        metrics: engine → metric → mean and standard deviation over the folds.
        threshold: the threshold and its rule.
        importances: the importance of each field, the largest first.
        champion: the comparison with the champion, or the reason why there is none.
        training: the facts for the version's metadata.
    """

    name: str
    now: datetime
    data: TrainingData
    contract: Contract
    probabilities: Probabilities
    metrics: Mapping[str, Metrics]
    threshold: Threshold
    importances: Sequence[Importance]
    champion: ChampionComparison | str
    training: Mapping[str, Any]
