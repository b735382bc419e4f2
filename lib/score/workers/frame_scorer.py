"""Takes a function from rows to probabilities to Python workers, for batches of the stream."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from lib.decode.engines.arrow import Category, Column
from lib.score.scorer import Probabilities, ScoreColumns
from lib.score.workers.failures import TOLERANT
from lib.score.workers.halves import Compute, score_batch
from lib.score.workers.shared import open_once

if TYPE_CHECKING:
    from pyspark import Broadcast


@dataclass(frozen=True)
class FrameScorer:
    """Takes a function from rows to probabilities to Python workers, and calls it there.

    Attributes:
        content: the pickle of the function.
        sha256: the sha256 of the pickle.
        columns: the columns that it takes, in its order.
        name: the name of model and backend.
    """

    content: Broadcast[bytes]
    sha256: str
    columns: tuple[str, ...]
    name: str

    def score_frame(self, rows: pd.DataFrame) -> Probabilities:
        """Compute the probability of each row: float64 [n_rows]; NaN if the model gave none."""
        return score_batch(self._open(), rows, TOLERANT.open(self.name)).probabilities

    def open(self) -> ScoreColumns:
        """See :meth:`lib.score.scorer.BatchScorer.open`."""
        compute = self._open()
        return lambda features: compute(_build_frame(features, self.columns))

    def _open(self) -> Compute:
        compute: Compute = open_once(self.sha256, lambda: pickle.loads(self.content.value))
        return compute


def _build_frame(features: Mapping[str, Column], columns: Sequence[str]) -> pd.DataFrame:
    chosen = {name: features[name] for name in columns}
    return pd.DataFrame(
        {
            name: column.to_objects() if isinstance(column, Category) else column
            for name, column in chosen.items()
        },
        copy=False,
    )
