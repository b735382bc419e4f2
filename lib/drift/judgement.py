"""Judges how far the records of a window have drifted from the training data. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lib.drift.bins import BinKind, Bins
from lib.drift.profile import SCORE
from lib.drift.psi import compute_psi, find_chance_limit
from lib.drift.window import Window

#: A window of fewer records says too little about any feature.
LEAST_RECORDS = 500
#: The bin of the values that the contract does not allow, whose records became dead letters.
UNSEEN = "unseen"


@dataclass(frozen=True)
class Drift:
    """The drift of one feature, or of the score.

    Attributes:
        name: the name of the feature; :data:`lib.drift.profile.SCORE` for the score.
        psi: the population stability index.
        limit: the limit of the index: that of the settings, or what chance alone may reach in so
            few records.
        unseen: the share of records whose value the contract does not allow, or that training has
            not seen.
        missing: the share of records without a value.
        labels: a phrase for each bin.
        training, found: the share of each bin in the training data and in the window.
    """

    name: str
    psi: float
    limit: float
    unseen: float
    missing: float
    labels: tuple[str, ...]
    training: tuple[float, ...]
    found: tuple[float, ...]

    @property
    def is_over(self) -> bool:
        """Whether the index is above its limit."""
        return self.psi > self.limit

    @property
    def subject(self) -> str:
        """A phrase for the beginning of a sentence."""
        return "The score" if self.name == SCORE else f"Feature {self.name}"


def is_judged(window: Window) -> bool:
    """Tell whether a window has enough records to be judged."""
    return window.records >= LEAST_RECORDS


def judge_window(window: Window, limit: float) -> list[Drift]:
    """Judge each feature and the score of a window, the worst ones first.

    Args:
        window: the window; one of too few records is judged too.
        limit: the index from which on a feature has drifted.
    """
    found = [*_judge(window, limit)]
    return sorted(found, key=lambda drift: (not drift.is_over, -drift.psi, drift.name))


def _judge(window: Window, limit: float) -> Iterator[Drift]:
    quantities = window.profile.quantities
    counts = window.counts or [[0] * bins.size for bins in quantities]
    # All dead letters are counted, but only a sample of the predictions is in bins.
    sampled = window.records / window.predictions if window.predictions else 0.0
    for bins, row in zip(quantities, counts, strict=True):
        refused = window.refused[bins.name] * sampled
        found = [float(count) for count in row]
        training = [float(count) for count in bins.counts]
        total = sum(found) + refused
        yield Drift(
            bins.name,
            compute_psi([*training, 0.0], [*found, refused]),
            max(limit, find_chance_limit([*training, 0.0], [*found, refused])),
            (_count_others(bins, found) + refused) / total if total else 0.0,
            found[bins.missing] / total if total else 0.0,
            (*bins.labels, UNSEEN),
            _divide(training, 0.0),
            _divide(found, refused),
        )


def _count_others(bins: Bins, found: list[float]) -> float:
    return found[bins.missing - 1] if bins.kind is BinKind.VALUE else 0.0


def _divide(counts: list[float], refused: float) -> tuple[float, ...]:
    total = sum(counts) + refused
    return tuple(count / total if total else 0.0 for count in (*counts, refused))
