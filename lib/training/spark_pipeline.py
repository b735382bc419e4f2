"""The model as a Spark ML pipeline, from raw features to the probability.

Three stages only, for each costs planning time in every micro-batch: one SELECT that encodes inside
code generation, one that gathers the columns into a vector, and the regression.
"""

from __future__ import annotations

from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import SQLTransformer, VectorAssembler

from lib.record.contract import Contract, Field
from lib.spark.quoting import quote
from lib.training.encoding import Encoding, build_encoding
from lib.training.penalty import compute_spark_penalty

LABEL_COLUMN = "label"
# The vector between the stages; its elements' columns are numbered behind this name. No record has
# a field like it.
ENCODED_COLUMN = "_encoded"

# Probabilities are then within 1e-6 of the optimum's, measured from 500 to 300,000 rows. Below 5e-8
# the solver's line search runs into rounding, and complains.
_TOLERANCE = 1e-7
_MAX_ITERATIONS = 1_000


def build_spark_pipeline(contract: Contract, rows: int) -> Pipeline:
    """An unfitted pipeline that takes frames with the contract's features, and `label` to fit.

    Numbers may come as numeric text, blanks stand for what the contract says, unseen categories
    count as none of the known ones. A number that is null or no number gives the probability NaN.

    Args:
        contract: of the features.
        rows: number of rows that it will be fitted on; the penalty depends on it.
    """
    return Pipeline(stages=[*build_encoding_stages(contract), build_regression(rows)])


def build_encoding_stages(contract: Contract) -> tuple[SQLTransformer, VectorAssembler]:
    """The stages that turn features into a vector. They learn nothing from data."""
    expressions = list_expressions(build_encoding(contract))
    names = [f"{ENCODED_COLUMN}_{position}" for position in range(len(expressions))]
    selected = ", ".join(f"{text} AS {name}" for text, name in zip(expressions, names, strict=True))
    statement = f"SELECT *, {selected} FROM __THIS__"  # noqa: S608 - of the contract, and quoted
    return (
        SQLTransformer(statement=statement),
        VectorAssembler(inputCols=names, outputCol=ENCODED_COLUMN, handleInvalid="keep"),
    )


def build_regression(rows: int) -> LogisticRegression:
    """The unfitted last stage; see :func:`build_spark_pipeline`."""
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
    """One Spark SQL expression, of type double, for each column of the design matrix."""
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
    """A double; NaN where there is no number in the field."""
    return f"COALESCE({_number_expression(field)}, DOUBLE('NaN'))"


def _number_expression(field: Field) -> str:
    """A double; null where there is no number in the field."""
    name = quote(field.name)
    number = f"TRY_CAST({name} AS DOUBLE)"
    if field.blank is None:
        return number
    # The second branch is evaluated only for what is no number, so that numbers stay fast.
    blank = rf"IF(CAST({name} AS STRING) RLIKE r'^\s*$', {float(field.blank)!r}D, NULL)"
    return f"COALESCE({number}, {blank})"


def _quote_value(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
