"""Measures held-out probabilities by segment: the rows with one value of a field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import roc_auc_score

from lib.record.contract import Contract, Kind
from lib.training.data import TrainingData
from lib.training.evaluation import Integers, Probabilities, compute_losses
from lib.training.paired.quality import LEAST_OF_A_CLASS, LEAST_ROWS

# An integer with more values is not divided.
_MOST_VALUES = 12


@dataclass(frozen=True)
class Segment:
    """The rows with one value of a field.

    Attributes:
        field: the name of the field.
        value: the value, as text.
        rows: the number of rows.
        share: the share of positives; NaN without rows.
        mean: the mean probability; NaN without rows.
        roc_auc: the ROC-AUC; None if the segment is too small to be measured.
        log_loss: the mean log loss; None if it is too small.
        recall: the share of the positives whose probability reaches the threshold; None likewise.
        precision: the share of positives among the rows that reach it; None likewise, or if none
            does.
    """

    field: str
    value: str
    rows: int
    share: float
    mean: float
    roc_auc: float | None = None
    log_loss: float | None = None
    recall: float | None = None
    precision: float | None = None

    @property
    def name(self) -> str:
        """The field and its value, for people."""
        return f"{self.field} = {self.value}"


def measure_segments(
    data: TrainingData, probabilities: Probabilities, threshold: float, contract: Contract
) -> list[Segment]:
    """Measure the segments of each category, each boolean, and each integer of few values.

    Args:
        data: the rows.
        probabilities: float64 [n_rows] from models that have not seen the row.
        threshold: the threshold of the prediction.
        contract: the contract of the features, whose values may be missing in the data.
    """
    return [
        _measure(name, value, mask, data.labels, probabilities, threshold)
        for name, value, mask in _divide(data.features, contract)
    ]


def _divide(
    features: pd.DataFrame, contract: Contract
) -> Iterator[tuple[str, str, npt.NDArray[np.bool_]]]:
    for field in contract.features:
        column = features[field.name]
        if field.kind is Kind.CATEGORY:
            values = list(field.allowed)
        elif field.kind in (Kind.BOOLEAN, Kind.INTEGER) and column.nunique() <= _MOST_VALUES:
            values = sorted(column.dropna().unique().tolist())
        else:
            continue
        for value in values:
            yield field.name, _write(value), (column == value).to_numpy(dtype=np.bool_)
        if column.isna().any():
            yield field.name, "(missing)", column.isna().to_numpy(dtype=np.bool_)


def _write(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _measure(
    name: str,
    value: str,
    mask: npt.NDArray[np.bool_],
    all_labels: Integers,
    all_probabilities: Probabilities,
    threshold: float,
) -> Segment:
    labels, probabilities = all_labels[mask], all_probabilities[mask]
    rows = len(labels)
    if not rows:
        return Segment(name, value, 0, np.nan, np.nan)
    share, mean = float(labels.mean()), float(probabilities.mean())
    if rows < LEAST_ROWS or min(labels.sum(), rows - labels.sum()) < LEAST_OF_A_CLASS:
        return Segment(name, value, rows, share, mean)
    predicted = probabilities >= threshold
    return Segment(
        name,
        value,
        rows,
        share,
        mean,
        roc_auc=float(roc_auc_score(labels, probabilities)),
        log_loss=float(compute_losses(labels, probabilities).mean()),
        recall=float(predicted[labels == 1].mean()),
        precision=float(labels[predicted].mean()) if predicted.any() else None,
    )
