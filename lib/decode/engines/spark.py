"""The contract's checks as Spark expressions, inside code generation and without Python workers.

A valid record, which is nearly every one, is parsed once and compared field by field. Only when
something is wrong is it parsed again, to say what (``spark_violations.py``). What is valid is
defined by ``python.py``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce
from operator import and_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lib.decode.engines.spark_violations import (
    VIOLATION_TYPE,
    json_kind_expr,
    matches_expr,
    violations_expr,
)
from lib.messages.columns import HEADERS_TYPE
from lib.record.checks import BLANK_TEXT, NUMERIC_TEXT
from lib.record.contract import Contract, Field, Kind
from lib.record.place import Place, group_by_member
from lib.record.types import find_spark_type, is_text
from lib.spark.quoting import quote

# Of a record, as :mod:`lib.source` gives it.
SOURCE_TYPES = {
    "source_key": "binary",
    "source_value": "binary",
    "source_headers": HEADERS_TYPE,
    "source_topic": "string",
    "source_partition": "int",
    "source_offset": "bigint",
    "source_timestamp": "timestamp",
}
SOURCE_COLUMNS = tuple(SOURCE_TYPES)

# from_json stops at the end of the first JSON value and ignores what follows it. So the record's
# last brace is replaced by this extra field: it is read only if that brace closes the record.
END_MARK = "\u0000end"
_END_MARK_JSON = rb',"\u0000end":true}'
# Some value had not the type of its column. The column then keeps what another field of the same
# name had, if there was one. The last one counts, so only a second look can tell what is valid.
CORRUPT = "\u0000corrupt"
# It begins where white space begins: tried from each blank on, a long run would take its square.
_TRAILING_WHITE_SPACE = r"(?<![ \t\r\n])[ \t\r\n]+\z"
# JSON that is no string looks like these in a string column; so do some texts.
_BARE_JSON_VALUE = r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|(?s:[\[{].*)"
# Strict JSON, as RFC 8259 has it and as Python's parser reads it.
_JSON_OPTIONS = {
    "mode": "PERMISSIVE",
    "allowSingleQuotes": "false",
    "allowNonNumericNumbers": "false",
    "columnNameOfCorruptRecord": CORRUPT,
}


def decode_records(records: DataFrame, contract: Contract) -> DataFrame:
    """Turn Kafka values into typed features and a list of violations; no row is dropped.

    Args:
        records: the columns of :data:`SOURCE_COLUMNS`; ``source_value`` is binary.
        contract: what a record has to look like.

    Returns:
        ``records`` plus the identifier, the event time (string, null where missing), the features
        (string, bigint or double; NaN for a number and null for a text that is missing and may be;
        stand-ins where the record is invalid) and ``violations``
        (array of :data:`VIOLATION_TYPE`, empty where the record is valid).
    """
    names = [spec.name for spec in contract.checked]
    parsed = records.withColumn("parsed", _parse_expr(contract))
    checked = parsed.withColumn("passes", _passes_expr(contract)).withColumn(
        "violations", _violations_expr(contract)
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


def _violations_expr(contract: Contract) -> Column:
    """Array of :data:`VIOLATION_TYPE`; empty for a valid record, which nearly always passes."""
    parsed, passes = F.col("parsed"), F.col("passes")
    none = F.array().cast(f"array<{VIOLATION_TYPE}>")
    explained = violations_expr(contract, parsed.getField(END_MARK), passes)
    return F.when(passes & parsed.getField(CORRUPT).isNull(), none).otherwise(explained)


def _text_expr() -> Column:
    return F.col("source_value").cast("string")


def _trimmed_expr() -> Column:
    """The value without trailing JSON white space; almost always it has none."""
    trimmed = F.regexp_replace(_text_expr(), _TRAILING_WHITE_SPACE, "").cast("binary")
    ends = F.endswith(F.col("source_value"), F.lit(b"}"))
    return F.when(ends, F.col("source_value")).otherwise(trimmed)


def _parse_expr(contract: Contract) -> Column:
    """Struct of the contract's fields and both marks; null fields where unreadable."""
    value = _trimmed_expr()
    body = F.substring(value, F.lit(1), F.octet_length(value) - 1)
    marked = F.concat(body, F.lit(bytearray(_END_MARK_JSON))).cast("string")
    is_readable = (F.octet_length("source_value") <= contract.max_bytes) & F.endswith(
        value, F.lit(b"}")
    )
    columns = _list_columns([(spec, spec.place) for spec in contract.checked], " ")
    schema = ", ".join([*columns, f"`{END_MARK}` boolean", f"`{CORRUPT}` string"])
    return F.when(is_readable, F.from_json(marked, schema, _JSON_OPTIONS))


def _list_columns(pending: Sequence[tuple[Field, Place]], colon: str) -> list[str]:
    """The members of an object as Spark's schema has them, nested ones as structs."""
    return [
        f"{quote(name)}{colon}{_json_type(inner[0][0])}"
        if not inner[0][1]
        else f"{quote(name)}{colon}struct<{', '.join(_list_columns(inner, ': '))}>"
        for name, inner in group_by_member(pending).items()
    ]


def _json_type(spec: Field) -> str:
    if spec.kind is Kind.BOOLEAN:
        return "boolean"
    return "double" if spec.is_numeric and not spec.numeric_text else "string"


def _field_expr(spec: Field) -> Column:
    return reduce(Column.getField, spec.place, F.col("parsed"))


def _stand_in_expr(spec: Field) -> Column:
    return F.lit(spec.model_stand_in).cast(find_spark_type(spec))


def _passes_expr(contract: Contract) -> Column:
    """boolean, never null: whether what was parsed satisfies the whole contract."""
    checks = [F.col("parsed").getField(END_MARK), *map(_is_valid_field_expr, contract.checked)]
    checks.append(F.is_valid_utf8(_text_expr()))
    return F.coalesce(reduce(and_, checks), F.lit(False))


def _is_valid_field_expr(spec: Field) -> Column:
    value = _field_expr(spec)
    if spec.kind is Kind.CATEGORY:
        check = value.isin(*spec.allowed)
        bare = [text for text in spec.allowed if re.fullmatch(_BARE_JSON_VALUE, text)]
        if bare:
            check = check & _is_string_expr(spec, value.isin(*bare))
    elif spec.is_numeric:
        check = _is_valid_number_expr(spec)
    elif spec.kind is Kind.BOOLEAN:
        check = value.isNotNull()
    elif spec.kind is Kind.TEXT:
        checks = [_is_string_expr(spec, matches_expr(value, _BARE_JSON_VALUE))]
        if spec.pattern is not None:
            checks.insert(0, matches_expr(value, spec.pattern))
        if spec.max_chars is not None:
            checks.insert(0, F.char_length(value) <= spec.max_chars)
        check = value.isNotNull() & reduce(and_, checks)
    else:  # a timestamp: nothing but a JSON string can match the pattern
        check = matches_expr(value, spec.pattern or ".*")
    return value.isNull() | check if spec.nullable else check


def _is_string_expr(spec: Field, is_suspect: Column) -> Column:
    """boolean: whether what was read as text is a JSON string; looked up only where it may not."""
    return F.when(is_suspect, json_kind_expr(spec.place) == "STRING").otherwise(F.lit(True))


def _is_valid_number_expr(spec: Field) -> Column:
    number = _number_expr(spec)
    check = number.between(*spec.range)
    if spec.kind is Kind.INTEGER:
        check = check & (number.cast("bigint").cast("double") == number)
    if spec.numeric_text:
        value = _field_expr(spec)
        check = check & matches_expr(value, NUMERIC_TEXT)
        if spec.blank is not None:
            check = check | matches_expr(value, BLANK_TEXT)
    return check


def _number_expr(spec: Field) -> Column:
    """double: the number that the field holds; a blank is null here."""
    value = _field_expr(spec)
    return value.try_cast("double") if spec.numeric_text else value


def _typed_expr(spec: Field) -> Column:
    """The feature of a valid record."""
    if is_text(spec):
        return _field_expr(spec)
    number = _number_expr(spec)
    if spec.blank is not None:
        blank = F.lit(float(spec.blank))
        # A blank is no number; nor is what is missing.
        number = F.coalesce(number, F.when(_field_expr(spec).isNotNull(), blank))
    if spec.nullable:
        return F.coalesce(number.cast("double"), F.lit(float("nan")))
    return number.cast(find_spark_type(spec))
