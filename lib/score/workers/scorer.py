"""Scores with a model of any Python library, in this process and in Spark's Python workers.

It needs no PySpark until a frame or a stream is scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from lib.score.scorer import DEFAULT_THRESHOLD, ModelScorer, Probabilities
from lib.score.workers.halves import Compute
from lib.score.workers.shared import SharedContent

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lib.score.workers.frame_scorer import FrameScorer


class WorkerScorer(ModelScorer):
    """Scores with a function from rows to probabilities.

    The function goes to the workers once, as a broadcast that lives as long as this object, and is
    unpickled once in each worker process. If it raises on a batch, the batch is halved until the
    failing rows are single. They get null, and the log a warning without contents.

    Args:
        model: the object that its library has loaded, for callers.
        name: the name of model and backend.
        compute: the function that scores, or a ``functools.partial`` of one, whose module the
            workers can import.
        columns: the columns that the model takes, in its order. With None, ``compute`` gets the
            callers' frames unchanged, and the contract's features of a stream.
        threshold: the probability from which the model itself predicts the positive class.
    """

    def __init__(
        self,
        model: Any,
        name: str,
        compute: Compute,
        columns: Sequence[str] | None = None,
        threshold: float = DEFAULT_THRESHOLD,
    ) -> None:
        super().__init__(model, name, threshold)
        self._compute = compute
        self._columns = None if columns is None else tuple(columns)
        self._shared: SharedContent | None = None

    @property
    def columns(self) -> Sequence[str] | None:
        """See :attr:`ModelScorer.columns`."""
        return self._columns

    def score(self, features: pd.DataFrame) -> Probabilities:
        """See :meth:`ModelScorer.score`. The model itself reports missing columns."""
        wanted = self._columns
        if wanted is not None and tuple(features.columns) != wanted:
            found = set(features.columns)
            features = features[list(wanted)] if found.issuperset(wanted) else features
        return self._compute(features)

    def append_probability(self, frame: DataFrame, columns: Sequence[str]) -> DataFrame:
        """See :meth:`ModelScorer.append_probability`; a pandas UDF does it here."""
        from lib.score.frames import append_by_pandas

        scorer = self.build_batch_scorer(frame.sparkSession, columns)
        return append_by_pandas(frame, columns, scorer.score_frame)

    def build_batch_scorer(self, session: SparkSession, columns: Sequence[str]) -> FrameScorer:
        """See :meth:`ModelScorer.build_batch_scorer`."""
        from pyspark import cloudpickle

        from lib.score.workers.frame_scorer import FrameScorer

        if self._shared is None:
            self._shared = SharedContent(cloudpickle.dumps(self._compute))  # type: ignore[no-untyped-call]
        content = self._shared.broadcast(session.sparkContext)
        return FrameScorer(content, self._shared.sha256, tuple(columns), self.name)
