"""A scikit-learn model as a pandas UDF. Driver builds it; executors' Python workers run it.

Measured on 2 cores with 19 columns: one struct argument, 19 series and Arrow arrays are equally
fast, so this is the form that carries the columns' names. Spark sets OMP_NUM_THREADS to
``spark.task.cpus`` in its workers, so that models do not start threads of their own.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
from pyspark import Broadcast
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import DoubleType

from lib.decode.engines.arrow import Category, Column
from lib.score.backends.sklearn.worker import compute_probability, score_batch, unpickle
from lib.score.base import PROBABILITY_COLUMN
from lib.score.shared import SharedContent, open_once
from lib.spark.quoting import quote


class SharedModel(SharedContent):
    """A model and its preprocessor as one pickle."""

    def __init__(self, model: Any, preprocessor: Any) -> None:
        self._held = (model, preprocessor)
        content = io.BytesIO()
        joblib.dump(self._held, content)
        super().__init__(content.getvalue())

    def holds(self, model: Any, preprocessor: Any) -> bool:
        """Whether it was made of these very objects."""
        return self._held[0] is model and self._held[1] is preprocessor


@dataclass(frozen=True)
class SklearnScorer:
    """A model on its way to Python workers, and in them.

    Attributes:
        content: the pickle.
        sha256: of it.
        columns: that the model takes, in its order.
    """

    content: Broadcast[bytes]
    sha256: str
    columns: tuple[str, ...]

    def score_frame(self, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Probability of each row: float64 [n_rows]; NaN where the model gave none."""
        model, preprocessor = open_once(self.sha256, lambda: unpickle(self.content.value))
        return score_batch(lambda part: compute_probability(model, preprocessor, part), rows)

    def __call__(self, features: Mapping[str, Column]) -> npt.NDArray[np.float64]:
        """See :class:`lib.stream.one_pass.BatchScorer`."""
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


def append_probability(frame: DataFrame, scorer: SklearnScorer) -> DataFrame:
    """The frame and, behind its columns, ``probability``: in [0, 1], null where there is none."""

    def score(rows: pd.DataFrame) -> pd.Series:
        return pd.Series(scorer.score_frame(rows))  # NaN becomes null on the way back

    quoted = [F.col(quote(name)).alias(name) for name in scorer.columns]
    udf = pandas_udf(score, DoubleType())  # type: ignore[call-overload]  # its overloads want hints' deprecated forerunner
    return frame.select("*", udf(F.struct(*quoted)).alias(PROBABILITY_COLUMN))
