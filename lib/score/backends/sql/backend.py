"""The SQL backend: the model as one Spark SQL expression, with scikit-learn to fall back on.

Imports without PySpark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lib.errors import ModelMismatchError, name_error
from lib.score.base import PROBABILITY_COLUMN
from lib.score.fallback import NotUsableError
from lib.score.jvm import JvmBackend
from lib.spark.quoting import quote
from lib.store.version import SQL_ARTEFACT

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class SqlExpression(str):
    """A Spark SQL expression of type double over a model's columns: the probability of class 1."""

    __slots__ = ()


class SqlBackend(JvmBackend):
    """Scores with an expression from a ``.sql`` file; see :class:`FallbackBackend`.

    It is evaluated inside Spark's generated code. A file of a stored version is checked against its
    checksum first; an expression from elsewhere can call whatever Spark SQL can: use only files
    that you trust.
    """

    backend_type = "sql"
    kind = "SQL"

    def _load_in_spark(self) -> None:
        artefact = self._find_file(SQL_ARTEFACT)
        content = artefact.read()
        session = self._open_session()
        text = content.decode(errors="replace").strip()
        try:
            jvm: Any = session._jvm
            jvm.org.apache.spark.sql.functions.expr(text)
        except Exception as error:
            raise NotUsableError(f"the model does not load: {name_error(error)}") from error
        self._adopt(SqlExpression(text), version=artefact.version, label=artefact.label)

    def _append_own(self, frame: DataFrame) -> DataFrame:
        from py4j.protocol import Py4JError  # type: ignore[import-untyped]  # ships no types
        from pyspark.errors import PySparkException
        from pyspark.sql import functions as F

        from lib.score.frames import in_range_expr

        kept = [F.col(quote(name)) for name in frame.columns]
        raw = f"{PROBABILITY_COLUMN}_of_expression"
        try:
            scored = frame.select("*", F.expr(str(self.model)).cast("double").alias(raw))
            return scored.select(*kept, in_range_expr(F.col(raw)))
        except (PySparkException, Py4JError) as error:
            raise ModelMismatchError(
                f"{self.scored_by}: found a frame that the model does not take: "
                f"{name_error(error)}",
                hint="give the columns and types that it was trained with",
            ) from error
