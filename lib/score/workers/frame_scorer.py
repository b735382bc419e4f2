"""A function from rows to probabilities, as Python workers run it on batches of the stream."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from lib.decode.engines.arrow import Category, Column
from lib.score.scorer import Probabilities
from lib.score.workers.halves import Compute, score_batch
from lib.score.workers.shared import open_once

if TYPE_CHECKING:
    from pyspark import Broadcast


@dataclass(frozen=True)
class FrameScorer:
    """A function from rows to probabilities, on its way to Python workers and in them.

    Attributes:
        content: its pickle.
        sha256: of the pickle.
        columns: that it takes, in its order.
    """

    content: Broadcast[bytes]
    sha256: str
    columns: tuple[str, ...]

    def score_frame(self, rows: pd.DataFrame) -> Probabilities:
        """Probability of each row: float64 [n_rows]; NaN where the model gave none."""
        compute: Compute = open_once(self.sha256, lambda: pickle.loads(self.content.value))
        return score_batch(compute, rows)

    def __call__(self, features: Mapping[str, Column]) -> Probabilities:
        """See :class:`lib.score.scorer.BatchScorer`."""
        columns = {name: features[name] for name in self.columns}
        return self.score_frame(
            pd.DataFrame(
                {
                    name: column.to_objects() if isinstance(column, Category) else column
                    for name, column in columns.items()
                },
                copy=False,
            )
        )
