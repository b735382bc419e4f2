"""``DataFrame.mapInArrow`` for one function that is applied to the frame of each batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.util import PythonEvalType

from lib.exactly_once.commit.base import ArrowMap
from lib.messages.columns import describe_columns
from lib.spark.quoting import quote


class PreparedMap:
    """Applies a function on Arrow batches to frames, and keeps the columns that the sink needs.

    It does what ``frame.mapInArrow(function, MESSAGE_TYPES).select(...)`` does, without the hundred
    calls to the JVM that these take each time: the function is pickled and described once, not for
    each batch of a query. Those calls took a quarter of the time of a small batch.

    Args:
        function: the function; it gives the columns of ``lib.messages.columns.MESSAGE_TYPES``.
        columns: the columns that the sink needs.
    """

    def __init__(self, function: ArrowMap, columns: Sequence[str]) -> None:
        self.function = function
        self._udf = pandas_udf(  # type: ignore[call-overload]  # PySpark uses it so, untyped
            _Narrowed(function, list(columns)),
            returnType=describe_columns(columns),
            functionType=PythonEvalType.SQL_MAP_ARROW_ITER_UDF,
        )
        self._column: Column | None = None

    def apply(self, frame: DataFrame) -> DataFrame:
        """Return the messages of a frame, as a lazy frame.

        Args:
            frame: the rows; all frames need the same columns.
        """
        if self._column is None:
            # Names find the columns in each frame.
            self._column = self._udf(*(F.col(quote(name)) for name in frame.columns))
        made = frame._jdf.mapInArrow(self._column._jc, False, None)  # mapInArrow itself calls this
        return DataFrame(made, frame.sparkSession)


@dataclass(frozen=True)
class _Narrowed:
    """The function, less the columns that are not needed. Runs in the workers."""

    function: ArrowMap
    columns: list[str]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for messages in self.function(batches):
            yield messages.select(self.columns)
