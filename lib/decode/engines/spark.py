"""Decodes and checks records with Spark expressions, without Python workers.

A valid record, which nearly every record is, is parsed once and compared field by field. An invalid
one is parsed again, to list its violations (``spark_violations.py``). ``python.py`` defines which
records are valid.
"""

from __future__ import annotations

from functools import reduce
from operator import and_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lib.decode.engines.conditions import HOLDS, Value, matches_expr
from lib.decode.engines.spark_violations import VIOLATION_TYPE, kind_expr, violations_expr
from lib.decode.formats import find_format
from lib.decode.formats.base import SparkReader
from lib.messages.columns import SOURCE_COLUMNS
from lib.record.checks import BLANK_TEXT, NUMERIC_TEXT, Condition, find_limits
from lib.record.contract import Contract, Field
from lib.record.types import find_spark_type, is_text
from lib.spark.quoting import quote


def decode_records(records: DataFrame, contract: Contract) -> DataFrame:
    """Turn Kafka values into typed features and a list of violations; no row is dropped.

    Args:
        records: the columns of :data:`lib.messages.columns.SOURCE_COLUMNS`.
        contract: the contract of the records.

    Returns:
        ``records`` plus the identifier, the event time (string, null if missing), the features
        (string, bigint or double; for a missing value NaN or a null text; stand-ins if the record
        is invalid) and ``violations`` (array of :data:`VIOLATION_TYPE`, empty if the record is
        valid).
    """
    names = [spec.name for spec in contract.checked]
    reader = find_format(contract).get_spark_reader()
    parsed = records.withColumn("parsed", reader.parse_expr(contract))
    checked = parsed.withColumn("passes", _passes_expr(contract, reader)).withColumn(
        "violations", _violations_expr(contract, reader)
    )
    is_valid = F.size("violations") == 0
    features = [
        F.when(is_valid, _typed_expr(spec)).otherwise(_stand_in_expr(spec)).alias(spec.name)
        for spec in contract.features
    ]
    others = [
        _field_expr(spec).alias(spec.name)
        for spec in (contract.identifier, contract.event_time)
        if spec is not None
    ]
    selected = checked.select(*SOURCE_COLUMNS, *others, *features, "violations")
    return selected.select(*SOURCE_COLUMNS, *map(quote, names), "violations")


def _violations_expr(contract: Contract, reader: SparkReader) -> Column:
    """Build an array of :data:`VIOLATION_TYPE`, empty for a valid record."""
    parsed, passes = F.col("parsed"), F.col("passes")
    none = F.array().cast(f"array<{VIOLATION_TYPE}>")
    explained = violations_expr(contract, parsed, passes)
    return F.when(passes & reader.is_certain_expr(parsed), none).otherwise(explained)


def _field_expr(spec: Field) -> Column:
    return reduce(Column.getField, spec.place, F.col("parsed"))


def _stand_in_expr(spec: Field) -> Column:
    return F.lit(spec.model_stand_in).cast(find_spark_type(spec))


def _passes_expr(contract: Contract, reader: SparkReader) -> Column:
    """Build a boolean, never null: whether the parsed record keeps the whole contract."""
    checks = [_is_valid_field_expr(spec, reader) for spec in contract.checked]
    return F.coalesce(reduce(and_, [reader.is_whole_expr(F.col("parsed")), *checks]), F.lit(False))


def _is_valid_field_expr(spec: Field, reader: SparkReader) -> Column:
    value, limits = _field_expr(spec), find_limits(spec)
    doubt = reader.doubt_expr(spec, value)
    holds_text = value.isNotNull()
    # A column of its type holds that or null, which keeps no limit.
    if doubt is None:
        limits.pop(Condition.IS_TEXT, None)
    else:
        holds_text &= F.when(doubt, _is_string_expr(spec, reader)).otherwise(True)
    if not spec.numeric_text:
        limits.pop(Condition.IS_NUMBER, None)
    parsed = Value(
        text=value,
        number=_number_expr(spec),
        is_text=holds_text,
        is_boolean=value.isNotNull(),
        is_number=matches_expr(value, NUMERIC_TEXT),
    )
    check = reduce(and_, (HOLDS[condition](parsed, limit) for condition, limit in limits.items()))
    if spec.blank is not None:
        check = check | matches_expr(value, BLANK_TEXT)
    return value.isNull() | check if spec.nullable else check


def _is_string_expr(spec: Field, reader: SparkReader) -> Column:
    return kind_expr(reader.variant_expr(), spec.place) == "STRING"


def _number_expr(spec: Field) -> Column:
    """Build a double: the number in the field; null for a blank."""
    value = _field_expr(spec)
    return value.try_cast("double") if spec.numeric_text else value


def _typed_expr(spec: Field) -> Column:
    """Build the feature of a valid record."""
    if is_text(spec):
        return _field_expr(spec)
    number = _number_expr(spec)
    if spec.blank is not None:
        blank = F.lit(float(spec.blank))
        # Neither a blank nor a missing value is a number.
        number = F.coalesce(number, F.when(_field_expr(spec).isNotNull(), blank))
    if spec.nullable:
        return F.coalesce(number.cast("double"), F.lit(float("nan")))
    return number.cast(find_spark_type(spec))
