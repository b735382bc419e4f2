"""Records → messages in one pass over an Arrow batch: decode, check, score, encode.

The plan of backends that score in Python: the worker gets the bytes of a record and gives the bytes
of its message, so that Spark neither parses it nor carries its fields to Python and back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.decode.engines.arrow import Column, decode_batch
from lib.encode.arrow import encode_batch
from lib.messages.dead_letter import MessageSettings
from lib.spark.worker_batches import map_batches


class BatchScorer(Protocol):
    """A model in a worker. Goes there as a pickle; opens its model on the first call."""

    def __call__(self, features: Mapping[str, Column]) -> npt.NDArray[np.float64]:
        """Probability of each row in [0, 1]: float64 [n_rows]; anything else where it has none."""


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
