"""The SQL backend: the model as one Spark SQL expression. It imports without PySpark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lib.errors import ModelMismatchError, name_error
from lib.score.artefact import Artefact
from lib.score.fallback import NotUsableError
from lib.score.jvm import JvmBackend, require_pyspark
from lib.score.scorer import PROBABILITY_COLUMN
from lib.spark.quoting import quote

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class SqlExpression(str):
    """A Spark SQL expression of type double over a model's columns: the probability of class 1."""

    __slots__ = ()


class SqlBackend(JvmBackend):
    """Scores with an expression from a ``.sql`` file.

    Spark evaluates the expression in generated code. A file of a stored version is checked against
    its checksum first. An expression from elsewhere can call any function of Spark SQL, so use only
    files that you trust.
    """

    backend_type = "sql"

    def open_model(self) -> tuple[SqlExpression, Artefact]:
        """See :meth:`ModelBackend.open_model`."""
        require_pyspark()
        artefact = self.find_file()
        content = artefact.read()
        text = content.decode(errors="replace").strip()
        session = self.open_session()
        try:
            jvm: Any = session._jvm
            jvm.org.apache.spark.sql.functions.expr(text)
        except Exception as error:
            raise NotUsableError(f"the model does not load: {name_error(error)}") from error
        return SqlExpression(text), artefact

    def append_probability(self, frame: DataFrame, model: SqlExpression, name: str) -> DataFrame:
        """See :meth:`JvmBackend.append_probability`."""
        from py4j.protocol import Py4JError  # type: ignore[import-untyped]  # it ships no types
        from pyspark.errors import PySparkException
        from pyspark.sql import functions as F

        from lib.score.frames import in_range_expr

        kept = [F.col(quote(column)) for column in frame.columns]
        raw = f"{PROBABILITY_COLUMN}_of_expression"
        try:
            scored = frame.select("*", F.expr(str(model)).cast("double").alias(raw))
            return scored.select(*kept, in_range_expr(F.col(raw)))
        except (PySparkException, Py4JError) as error:
            raise ModelMismatchError(
                f"{name}: found a frame that the model does not take: {name_error(error)}",
                hint="give the columns and types that it was trained with",
            ) from error
