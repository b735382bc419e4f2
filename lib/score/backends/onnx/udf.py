"""Makes an Arrow UDF of an ONNX model on the driver, which runs in Python workers."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import DoubleType

from lib.score.backends.onnx.scorer import OnnxBatchScorer
from lib.score.scorer import PROBABILITY_COLUMN
from lib.score.workers.failures import TOLERANT
from lib.score.workers.halves import ColumnRows, score_batch
from lib.spark.quoting import quote


def append_probability(
    frame: DataFrame, columns: Sequence[str], scorer: OnnxBatchScorer
) -> DataFrame:
    """Append ``probability`` to the frame, by the model on ``columns``."""
    names = tuple(columns)

    def score(*arrays: pa.Array) -> pa.Array:
        model, tally = scorer.open_model(), TOLERANT.open(scorer.name)
        rows = ColumnRows(dict(zip(names, arrays, strict=True)))
        scores = score_batch(lambda part: model.score_arrow(part.columns), rows, tally)
        return pa.array(scores.probabilities, from_pandas=True)  # NaN becomes null

    udf = arrow_udf(score, DoubleType())  # type: ignore[call-overload]  # its overloads end at ten columns
    probability = udf(*[F.col(quote(column)) for column in names])
    return frame.select("*", probability.alias(PROBABILITY_COLUMN))
