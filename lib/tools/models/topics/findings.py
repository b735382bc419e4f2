"""Computes what two models' answers tell about them: agreement, shift and quality. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lib.evaluation.definition import Status
from lib.tools.models.topics.agreement import (
    Agreement,
    Field,
    Scores,
    Segment,
    measure_agreement,
    measure_segments,
)
from lib.tools.models.topics.answers import Answer
from lib.tools.models.topics.outcomes import Outcomes
from lib.tools.models.topics.pairing import Pairs
from lib.training.paired.estimate import (
    Estimate,
    Share,
    estimate_mean,
    number_clusters,
    subtract_unpaired,
)
from lib.training.paired.quality import Labelled, Measured, measure_paired, measure_unpaired


@dataclass(frozen=True)
class Side:
    """The answers of one of the two models.

    Attributes:
        name: the model and the backend.
        rows: the number of records that count.
        subjects: the number of their subjects.
        positive: the share of the positive label.
        mean: the mean probability.
        quantiles: those of the probability, by :data:`lib.tools.models.topics.agreement.QUANTILES`.
    """

    name: str
    rows: int
    subjects: int
    positive: Share
    mean: Estimate
    quantiles: Sequence[float]


@dataclass(frozen=True)
class Judged:
    """The answers of one model by what is known of their outcomes.

    Attributes:
        statuses: status → number of answers.
        positives: the number of answers whose outcome is the positive label.
        means: the mean probability of the answers with an outcome, and of those without one yet;
            None if there are none.
    """

    statuses: Mapping[Status, int]
    positives: int
    means: tuple[float | None, float | None]

    @property
    def labelled(self) -> int:
        """The number of answers with an outcome."""
        return self.statuses[Status.LABELLED]


@dataclass(frozen=True)
class Quality:
    """The quality of two models, by outcomes.

    Attributes:
        sides: the answers of each.
        measured: the metrics with their differences; empty if there are too few outcomes.
    """

    sides: tuple[Judged, Judged]
    measured: Sequence[Measured]


@dataclass(frozen=True)
class Findings:
    """The differences of the answers of two models.

    Attributes:
        sides: the answers of each.
        first, last: the first and the last time of scoring.
        mean_shift, positive_shift: the differences, second less first, of the mean probability and
            of the share of the positive label.
        quality: the quality of both; None without outcomes.
    """

    sides: tuple[Side, Side]
    first: str
    last: str
    mean_shift: Estimate
    positive_shift: Estimate
    quality: Quality | None


@dataclass(frozen=True)
class PairedFindings(Findings):
    """The differences of the answers of two models for the same records.

    Attributes:
        agreement: the agreement of both.
        segments: the same by segment.
        failures: class of the exception → records on which the second one failed.
        without_second: the predictions of the first one without an answer of the second.
        without_first: the answers of the second one, a shadow, without any prediction.
        fields_unknown: field of segments → pairs whose record was not found.
    """

    agreement: Agreement
    segments: Sequence[Segment]
    failures: Mapping[str, int]
    without_second: int
    without_first: int
    fields_unknown: Mapping[str, int]


@dataclass(frozen=True)
class UnpairedFindings(Findings):
    """The differences of the answers of two models for other records of the same time."""


def find_paired(
    names: tuple[str, str],
    found: Pairs,
    without_first: int,
    positive: str,
    *,
    fields: Sequence[Field],
    outcomes: Outcomes | None,
) -> PairedFindings:
    """Compare a model with its shadow.

    Args:
        names: both models.
        found: their answers, with at least one pair.
        without_first: the answers of the shadow without any prediction.
        positive: the positive label.
        fields: the fields that divide the pairs into segments.
        outcomes: the outcomes that are known; None for no look at quality.
    """
    answers = [it.first for it in found.pairs], [it.second for it in found.pairs]
    scores = collect_scores(answers[0]), collect_scores(answers[1])
    agreement = measure_agreement(*scores)
    quality = None
    if outcomes is not None:
        judged = [_judge(it, outcomes, positive) for it in answers]
        quality = Quality(
            (judged[0][0], judged[1][0]),
            [] if judged[0][1].is_too_few else measure_paired(judged[0][1], judged[1][1]),
        )
    return PairedFindings(
        sides=_describe(names, scores, positive),
        first=min(it.processed for it in answers[0]),
        last=max(it.processed for it in answers[0]),
        mean_shift=agreement.shift,
        positive_shift=estimate_mean(
            scores[1].mark(positive) - scores[0].mark(positive), scores[0].clusters
        ),
        quality=quality,
        agreement=agreement,
        segments=list(measure_segments(*scores, fields)),
        failures=dict(found.failures.most_common()),
        without_second=found.without_second,
        without_first=without_first,
        fields_unknown={it.name: int(np.count_nonzero(it.codes < 0)) for it in fields},
    )


def find_unpaired(
    names: tuple[str, str],
    answers: tuple[Sequence[Answer], Sequence[Answer]],
    positive: str,
    outcomes: Outcomes | None,
) -> UnpairedFindings:
    """Compare two models, each on records of its own.

    Args:
        names: both models.
        answers: the predictions of each, at least one.
        positive: the positive label.
        outcomes: the outcomes that are known; None for no look at quality.
    """
    scores = collect_scores(answers[0]), collect_scores(answers[1])
    shares = [estimate_mean(it.mark(positive), it.clusters) for it in scores]
    quality = None
    if outcomes is not None:
        judged = [_judge(it, outcomes, positive) for it in answers]
        is_too_few = any(it.is_too_few for _, it in judged)
        quality = Quality(
            (judged[0][0], judged[1][0]),
            [] if is_too_few else measure_unpaired(judged[0][1], judged[1][1]),
        )
    return UnpairedFindings(
        sides=_describe(names, scores, positive),
        first=min(it.processed for side in answers for it in side),
        last=max(it.processed for side in answers for it in side),
        mean_shift=subtract_unpaired(scores[1].estimate_mean(), scores[0].estimate_mean()),
        positive_shift=subtract_unpaired(shares[1], shares[0]),
        quality=quality,
    )


def collect_scores(answers: Sequence[Answer]) -> Scores:
    """Collect the answers that have a probability."""
    return Scores(
        np.array([it.probability for it in answers], dtype=np.float64),
        np.array([it.label for it in answers], dtype=np.str_),
        number_clusters([it.identifier for it in answers]),
    )


def find_shared_time(
    first: Sequence[Answer], second: Sequence[Answer]
) -> tuple[list[Answer], list[Answer]]:
    """Find the answers of the time in which both models scored, which may be none."""
    start = max(min(it.processed for it in side) for side in (first, second))
    end = min(max(it.processed for it in side) for side in (first, second))
    within = [[it for it in side if start <= it.processed <= end] for side in (first, second)]
    return within[0], within[1]


def _describe(
    names: tuple[str, str], scores: tuple[Scores, Scores], positive: str
) -> tuple[Side, Side]:
    first, second = (
        Side(
            name,
            len(it.probabilities),
            int(it.clusters.max()) + 1,
            it.estimate_positive(positive),
            it.estimate_mean(),
            it.list_quantiles(),
        )
        for name, it in zip(names, scores, strict=True)
    )
    return first, second


def _judge(answers: Sequence[Answer], outcomes: Outcomes, positive: str) -> tuple[Judged, Labelled]:
    """Find the outcomes of answers, and the rows that they label."""
    judged = [outcomes.judge(it.identifier, it.processed) for it in answers]
    statuses = Counter(status for status, _ in judged)
    rows = [
        (label == positive, answer)
        for answer, (_, label) in zip(answers, judged, strict=True)
        if label is not None
    ]
    labels = np.array([is_positive for is_positive, _ in rows], dtype=np.int64)
    scored = [it.probability for _, it in rows]
    without = [
        answer.probability
        for answer, (status, _) in zip(answers, judged, strict=True)
        if status is Status.UNLABELLED
    ]
    labelled = Labelled(
        labels,
        np.array(scored, dtype=np.float64),
        number_clusters([it.identifier for _, it in rows]),
    )
    return Judged(statuses, labelled.positives, (_mean(scored), _mean(without))), labelled


def _mean(values: Sequence[float | None]) -> float | None:
    return float(np.mean(np.array(values, dtype=np.float64))) if values else None
