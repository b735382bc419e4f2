"""Builds the model as a Spark ML pipeline, from raw features to the probability.

It has only three stages, because each takes planning time in every micro-batch: a SELECT that
encodes in generated code, one that gathers the columns into a vector, and the regression.
"""

from __future__ import annotations

from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import SQLTransformer, VectorAssembler

from lib.record.checks import BLANK_TEXT, anchor
from lib.record.contract import Contract, Field
from lib.spark.quoting import quote
from lib.training.encoding import Encoding, build_encoding
from lib.training.penalty import compute_spark_penalty

LABEL_COLUMN = "label"
# The name of the vector between the stages, and the beginning of its columns' names. No record has
# such a field.
ENCODED_COLUMN = "_encoded"

# With this tolerance probabilities are within 1e-6 of the optimum's, measured from 500 to 300,000
# rows. Below 5e-8 rounding disturbs the solver's line search, which logs warnings.
_TOLERANCE = 1e-7
_MAX_ITERATIONS = 1_000


def build_spark_pipeline(contract: Contract, rows: int) -> Pipeline:
    """Build an unfitted pipeline that takes frames with the contract's features and `label`.

    Numbers may be numeric text, the contract gives blanks a meaning, and unseen categories count as
    none of the known ones. A number that is null or no number gives the probability NaN.

    Args:
        contract: the contract of the features.
        rows: the number of rows that it will be fitted on; the penalty depends on it.
    """
    return Pipeline(stages=[*build_encoding_stages(contract), build_regression(rows)])


def build_encoding_stages(contract: Contract) -> tuple[SQLTransformer, VectorAssembler]:
    """Build the stages that turn features into a vector, and learn nothing from data."""
    expressions = list_expressions(build_encoding(contract))
    names = [f"{ENCODED_COLUMN}_{position}" for position in range(len(expressions))]
    selected = ", ".join(f"{text} AS {name}" for text, name in zip(expressions, names, strict=True))
    statement = f"SELECT *, {selected} FROM __THIS__"  # noqa: S608 - names are quoted
    return (
        SQLTransformer(statement=statement),
        VectorAssembler(inputCols=names, outputCol=ENCODED_COLUMN, handleInvalid="keep"),
    )


def build_regression(rows: int) -> LogisticRegression:
    """Build the unfitted last stage; see :func:`build_spark_pipeline`."""
    return LogisticRegression(
        featuresCol=ENCODED_COLUMN,
        labelCol=LABEL_COLUMN,
        regParam=compute_spark_penalty(rows),
        elasticNetParam=0.0,
        standardization=True,
        tol=_TOLERANCE,
        maxIter=_MAX_ITERATIONS,
    )


def list_expressions(encoding: Encoding) -> list[str]:
    """List a Spark SQL expression of type double for each column of the design matrix."""
    indicators = [
        f"IF({quote(group.field.name)} = {_quote_value(value)}, 1D, 0D)"
        for group in encoding.indicators
        for value in group.values
    ]
    numbers = [_number_expression(field) for field in encoding.numbers]
    filled = [f"NANVL({_nullable_expression(field)}, 0D)" for field in encoding.nullable]
    missing = [f"IF(ISNAN({_nullable_expression(field)}), 1D, 0D)" for field in encoding.nullable]
    return indicators + numbers + filled + missing


def _nullable_expression(field: Field) -> str:
    """Write an expression of type double; NaN without a number in the field."""
    return f"COALESCE({_number_expression(field)}, DOUBLE('NaN'))"


def _number_expression(field: Field) -> str:
    """Write an expression of type double; null without a number in the field."""
    name = quote(field.name)
    number = f"TRY_CAST({name} AS DOUBLE)"
    if field.blank is None:
        return number
    # The second branch is evaluated only for values that are no numbers.
    is_blank = f"CAST({name} AS STRING) RLIKE r'{anchor(BLANK_TEXT)}'"
    blank = f"IF({is_blank}, {float(field.blank)!r}D, NULL)"
    return f"COALESCE({number}, {blank})"


def _quote_value(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
