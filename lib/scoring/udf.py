"""A scikit-learn model as a pandas UDF. Driver builds it; executors' Python workers run it.

Measured on 2 cores with 19 columns: one struct argument, 19 series and Arrow arrays are equally
fast, so this is the form that carries the columns' names. Spark sets OMP_NUM_THREADS to
``spark.task.cpus`` in its workers, so that models do not start threads of their own.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import joblib
import pandas as pd
from pyspark import Broadcast
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import DoubleType

from lib.scoring.base import PROBABILITY_COLUMN
from lib.scoring.frames import quote
from lib.scoring.shared import SharedContent
from lib.scoring.worker import compute_probability, open_once, score_batch, unpickle


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


def append_probability(frame: DataFrame, columns: Sequence[str], model: SharedModel) -> DataFrame:
    """The frame and, behind its columns, ``probability`` by the model on ``columns``."""
    expression = build_probability_expr(
        columns, model.broadcast(frame.sparkSession.sparkContext), model.sha256
    )
    return frame.select("*", expression.alias(PROBABILITY_COLUMN))


def build_probability_expr(
    columns: Sequence[str], content: Broadcast[bytes], sha256: str
) -> Column:
    """A double in [0, 1], null where the model gave none."""

    def score(rows: pd.DataFrame) -> pd.Series:
        model, preprocessor = open_once(sha256, lambda: unpickle(content.value))
        # NaN becomes null on the way back.
        return pd.Series(
            score_batch(lambda part: compute_probability(model, preprocessor, part), rows)
        )

    quoted = [F.col(quote(name)).alias(name) for name in columns]
    udf = pandas_udf(score, DoubleType())  # type: ignore[call-overload]  # its overloads want hints' deprecated forerunner
    column: Column = udf(F.struct(*quoted))
    return column
