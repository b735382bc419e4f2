"""Turns records into messages in one pass over an Arrow batch: decode, check, score, encode.

Backends that score in Python use it: the worker gets the bytes of records and returns the bytes of
messages, so that Spark neither parses records nor moves their fields to Python and back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from lib.decode.engines.arrow import DecodedBatch, decode_batch
from lib.encode.arrow import Parts, encode_batch, list_record_parts
from lib.messages.dead_letter import MessageSettings
from lib.score.scorer import BatchScorer, Probabilities
from lib.score.workers.failures import TOLERANT, FailurePolicy
from lib.score.workers.halves import ColumnRows, score_batch
from lib.spark.worker_batches import map_batches


@dataclass(frozen=True)
class Answers:
    """The answers to n records, of which m are valid.

    Attributes:
        messages: a message for each record, in their order: [n].
        parts: the parts of predictions that every model has in common: [m].
        decoded: the decoded values.
        probabilities: float64 [m] in [0, 1]; NaN for a row on which the model failed.
    """

    messages: pa.RecordBatch
    parts: Parts
    decoded: DecodedBatch
    probabilities: Probabilities


@dataclass(frozen=True)
class BatchPlan:
    """Scores the batches of a partition in a worker; see ``DataFrame.mapInArrow``.

    Attributes:
        score: the model.
        settings: the settings of the messages.
        failures: the policy about rows on which the model fails.
    """

    score: BatchScorer
    settings: MessageSettings
    failures: FailurePolicy = TOLERANT

    @property
    def spare(self) -> None:
        """The plan without messages that may be left out: none has any; see ``exactly_once``."""
        return None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield exactly one message for each record, in their order."""
        return map_batches(self.score_batch, batches)

    def score_batch(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """Turn rows of ``SOURCE_COLUMNS`` into ``lib.messages.columns.MESSAGE_SCHEMA``.

        The headers are text; see ``lib.messages.header_text``.
        """
        return self.answer(records, datetime.now(UTC)).messages

    def answer(self, records: pa.RecordBatch, now: datetime) -> Answers:
        """Do the same, and return what other models need to score the same records.

        Args:
            records: see :meth:`score_batch`.
            now: the time of scoring, with a time zone.
        """
        decoded = decode_batch(records["source_value"], self.settings.contract)
        score = self.score.open()
        tally = self.failures.open(self.settings.model_version)
        scores = score_batch(lambda rows: score(rows.columns), ColumnRows(decoded.features), tally)
        parts = list_record_parts(records, decoded, now)
        messages = encode_batch(
            *(records, decoded, scores.probabilities, self.settings, now, scores.failures, parts)
        )
        return Answers(messages, parts, decoded, scores.probabilities)
