"""Measures how far the answers of two models for the same records agree. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.training.evaluation import Integers, Probabilities
from lib.training.paired.estimate import Estimate, Numbers, Share, estimate_mean, estimate_share

#: The quantiles that describe scores and their differences.
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
#: A segment is listed if it has so many records.
LEAST_PAIRS = 20

Mask = npt.NDArray[np.bool_]
Change = tuple[str, str]


@dataclass(frozen=True)
class Scores:
    """The answers of a model for n records.

    Attributes:
        probabilities: float64 [n_rows] in [0, 1].
        labels: str [n_rows].
        clusters: the subject of each record, numbered from 0: int64 [n_rows].
    """

    probabilities: Probabilities
    labels: npt.NDArray[np.str_]
    clusters: Integers

    def select(self, mask: Mask) -> Scores:
        """Return the records where the mask, bool [n_rows], is true."""
        _, clusters = np.unique(self.clusters[mask], return_inverse=True)
        return Scores(self.probabilities[mask], self.labels[mask], clusters.astype(np.int64))

    def estimate_mean(self) -> Estimate:
        """Estimate the mean probability."""
        return estimate_mean(self.probabilities, self.clusters)

    def mark(self, label: str) -> Numbers:
        """Mark the records with a label by 1, the others by 0: float64 [n_rows]."""
        marks: Numbers = (self.labels == label).astype(np.float64)
        return marks

    def estimate_positive(self, positive: str) -> Share:
        """Estimate the share of the positive label."""
        return estimate_share(self.labels == positive, self.clusters)

    def list_quantiles(self) -> list[float]:
        """List the quantiles of the probability, those of :data:`QUANTILES`."""
        return [float(it) for it in np.quantile(self.probabilities, QUANTILES)]


@dataclass(frozen=True)
class Agreement:
    """The agreement of two models.

    Attributes:
        rows: the number of records that both have scored.
        subjects: the number of their subjects.
        same: the share of records with the same label.
        changes: (label of the first, label of the second) → records, where they differ.
        shift: the mean difference of the probability, that of the second less that of the first.
        quantiles: those of the difference, by :data:`QUANTILES`.
        sizes: the median of the difference's size, its 95 % quantile, and the largest.
    """

    rows: int
    subjects: int
    same: Share
    changes: Mapping[Change, int]
    shift: Estimate
    quantiles: Sequence[float]
    sizes: tuple[float, float, float]


def measure_agreement(first: Scores, second: Scores) -> Agreement:
    """Compare the answers of two models for the same records in the same order.

    Args:
        first: the answers of one model, of at least one record.
        second: those of the other one.
    """
    difference = second.probabilities - first.probabilities
    is_same = first.labels == second.labels
    both = zip(first.labels[~is_same].tolist(), second.labels[~is_same].tolist(), strict=True)
    size = np.abs(difference)
    return Agreement(
        rows=len(difference),
        subjects=int(first.clusters.max()) + 1,
        same=estimate_share(is_same, first.clusters),
        changes=dict(sorted(Counter(both).items())),
        shift=estimate_mean(difference, first.clusters),
        quantiles=[float(it) for it in np.quantile(difference, QUANTILES)],
        sizes=(float(np.median(size)), float(np.quantile(size, 0.95)), float(size.max())),
    )


@dataclass(frozen=True)
class Field:
    """A field that divides records into segments.

    Attributes:
        name: the name of the field.
        values: its values, as text, in the order in which they are listed.
        codes: the place of each record's value among them, -1 where it is not known: int64
            [n_rows].
    """

    name: str
    values: Sequence[str]
    codes: Integers


@dataclass(frozen=True)
class Segment:
    """The records with one value of a field.

    Attributes:
        field: the name of the field.
        value: the value, as text.
        agreement: the agreement of the models on them.
    """

    field: str
    value: str
    agreement: Agreement


def measure_segments(first: Scores, second: Scores, fields: Sequence[Field]) -> Iterator[Segment]:
    """Compare the answers by segment: those of at least 20 records.

    Args:
        first: the answers of one model.
        second: those of the other one, for the same records in the same order.
        fields: the fields that divide the records.
    """
    for field in fields:
        for code, value in enumerate(field.values):
            mask = field.codes == code
            if np.count_nonzero(mask) >= LEAST_PAIRS:
                agreement = measure_agreement(first.select(mask), second.select(mask))
                yield Segment(field.name, value, agreement)
