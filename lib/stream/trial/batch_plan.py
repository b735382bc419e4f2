"""Lets several models score the same batch of records in one pass in a Python worker.

A challenger answers its share of the records instead of the champion. Shadows score what the others
answer, and add a message for each valid record.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.encode.shadow import NO_LABEL, Labels, encode_shadow, find_labels
from lib.messages.dead_letter import MessageSettings
from lib.score.scorer import BatchScorer
from lib.score.workers.halves import ColumnRows
from lib.score.workers.shared import open_once
from lib.spark.worker_batches import map_batches
from lib.stream.one_pass import Answers, BatchPlan
from lib.stream.trial.buckets import is_chosen
from lib.stream.trial.shadow_thread import LEAST_S, PATIENCE, ShadowThread

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ChallengerPlan:
    """Answers a share of the records.

    Attributes:
        plan: the plan with the challenger's model, threshold and reasons.
        share: the share in (0, 1); see :func:`lib.stream.trial.buckets.is_chosen`.
    """

    plan: BatchPlan
    share: float


@dataclass(frozen=True)
class ShadowPlan:
    """Scores what others answer, and addresses its messages to the topic of shadows.

    Attributes:
        score: the model.
        settings: the settings of its messages.
        query: a name for the query, whose threads are its own.
    """

    score: BatchScorer
    settings: MessageSettings
    query: str

    def answer(
        self,
        records: pa.RecordBatch,
        answers: Answers,
        champion_labels: Labels,
        limit_s: float,
    ) -> pa.RecordBatch:
        """Make a message for each valid record, in their order.

        Args:
            records: the records.
            answers: the answers to them.
            champion_labels: the labels that the champion gave the valid ones.
            limit_s: the time limit in seconds.
        """
        model = self.settings.model_version
        thread = open_once(
            f"shadow {model} in {self.query}", lambda: ShadowThread(self.score, model)
        )
        scores = thread.score(ColumnRows(answers.decoded.features), limit_s)
        return encode_shadow(
            *(records, answers.decoded, scores, self.settings, answers.parts, champion_labels)
        )


@dataclass(frozen=True)
class TrialBatchPlan:
    """Scores the batches of a partition in a worker with several models; see ``BatchPlan``.

    Attributes:
        champion: the plan of the champion.
        challenger: the plan for a share of the records; None without a challenger.
        shadows: the plans for further messages.
    """

    champion: BatchPlan
    challenger: ChallengerPlan | None = None
    shadows: tuple[ShadowPlan, ...] = ()

    @cached_property
    def spare(self) -> BatchPlan | TrialBatchPlan | None:
        """The plan without shadows, for a batch that failed with them; None where there are none.

        It is the same object each time.
        """
        if not self.shadows:
            return None
        return self.champion if self.challenger is None else replace(self, shadows=())

    @property
    def settings(self) -> MessageSettings:
        """The settings of the champion's messages."""
        return self.champion.settings

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield one answer for each record, and behind it one message of each shadow if valid."""
        return map_batches(self.score_batch, batches)

    def score_batch(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """Turn rows into messages; see :meth:`BatchPlan.score_batch`."""
        now = datetime.now(UTC)
        made: list[pa.RecordBatch] = []
        places: list[Rows] = []
        for plan, rows in self._divide(records):
            chosen = records if len(rows) == records.num_rows else records.take(pa.array(rows))
            started_s = time.monotonic()
            answers = plan.answer(chosen, now)
            made.append(answers.messages)
            places.append(rows)
            if not self.shadows or not len(answers.probabilities):
                continue
            limit_s = max(PATIENCE * (time.monotonic() - started_s), LEAST_S)
            labels = self._find_champion_labels(plan, answers)
            for shadow in self.shadows:
                made.append(shadow.answer(chosen, answers, labels, limit_s))
                places.append(rows[answers.decoded.valid])
        if len(made) == 1:
            return made[0]
        # The sort is stable: an answer stays before what shadows say to the same record.
        order = np.argsort(np.concatenate(places), kind="stable")
        return pa.concat_batches(made).take(pa.array(order))

    def _divide(self, records: pa.RecordBatch) -> list[tuple[BatchPlan, Rows]]:
        """Divide the records: each plan, and the rows that it answers, in their order."""
        count = records.num_rows
        if self.challenger is None:
            return [(self.champion, np.arange(count))]
        is_challengers = is_chosen(records, self.challenger.share)
        parts = [
            (self.champion, np.flatnonzero(~is_challengers)),
            (self.challenger.plan, np.flatnonzero(is_challengers)),
        ]
        return [(plan, rows) for plan, rows in parts if len(rows)] or [
            (self.champion, np.arange(count))
        ]

    def _find_champion_labels(self, plan: BatchPlan, answers: Answers) -> Labels:
        if plan is self.champion:
            return find_labels(answers.probabilities, plan.settings)
        return np.full(len(answers.probabilities), NO_LABEL, np.int8)
