"""Turns records into messages in one pass over an Arrow batch: decode, check, score, encode.

Backends that score in Python use it: the worker gets the bytes of records and returns the bytes of
messages, so that Spark neither parses records nor moves their fields to Python and back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from lib.decode.engines.arrow import decode_batch
from lib.encode.arrow import encode_batch
from lib.messages.dead_letter import MessageSettings
from lib.score.scorer import BatchScorer
from lib.spark.worker_batches import map_batches


@dataclass(frozen=True)
class BatchPlan:
    """Scores the batches of a partition in a worker; see ``DataFrame.mapInArrow``.

    Attributes:
        score: the model.
        settings: the settings of the messages.
    """

    score: BatchScorer
    settings: MessageSettings

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield exactly one message for each record, in their order."""
        return map_batches(self.score_batch, batches)

    def score_batch(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """Turn rows of ``SOURCE_COLUMNS`` into ``lib.messages.columns.MESSAGE_SCHEMA``.

        The headers are text; see ``lib.messages.header_text``.
        """
        decoded = decode_batch(records["source_value"], self.settings.contract)
        probabilities = np.empty(0)
        if decoded.valid.any():
            probabilities = np.asarray(self.score(decoded.features), dtype=np.float64)
        return encode_batch(records, decoded, probabilities, self.settings, datetime.now(UTC))
