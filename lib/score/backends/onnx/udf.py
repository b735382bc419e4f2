"""Makes an Arrow UDF of an ONNX model on the driver, which runs in Python workers."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import DoubleType

from lib.score.backends.onnx.scorer import OnnxBatchScorer
from lib.score.frames import in_range_expr
from lib.spark.quoting import quote


def append_probability(
    frame: DataFrame, columns: Sequence[str], scorer: OnnxBatchScorer
) -> DataFrame:
    """Append ``probability`` to the frame, by the model on ``columns``."""
    names = tuple(columns)

    def score(*arrays: pa.Array) -> pa.Array:
        return pa.array(scorer.open().score_arrow(dict(zip(names, arrays, strict=True))))

    udf = arrow_udf(score, DoubleType())  # type: ignore[call-overload]  # its overloads end at ten columns
    return frame.select("*", in_range_expr(udf(*[F.col(quote(column)) for column in names])))
