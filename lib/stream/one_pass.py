"""Records → messages in one pass over an Arrow batch: decode, check, score, encode.

The plan of backends that score in Python: the worker gets the bytes of a record and gives the bytes
of its message, so that Spark neither parses it nor carries its fields to Python and back.
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
    """What a worker does with the batches of a partition; see ``DataFrame.mapInArrow``.

    Attributes:
        score: the model.
        settings: of the messages.
    """

    score: BatchScorer
    settings: MessageSettings

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Exactly one message for each record, in their order."""
        return map_batches(self.score_batch, batches)

    def score_batch(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """Messages of :data:`~lib.messages.columns.MESSAGE_SCHEMA` for rows of ``SOURCE_COLUMNS``.

        The headers are text; see ``lib.messages.header_text``.
        """
        decoded = decode_batch(records["source_value"], self.settings.contract)
        probabilities = np.empty(0)
        if decoded.valid.any():
            probabilities = np.asarray(self.score(decoded.features), dtype=np.float64)
        return encode_batch(records, decoded, probabilities, self.settings, datetime.now(UTC))
