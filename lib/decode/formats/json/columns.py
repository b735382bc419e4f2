"""Parses JSON objects with Spark, by ``from_json`` and, to list violations, as VARIANT."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

from lib.decode.formats.base import Refusal
from lib.decode.formats.json import BLANK_EXCERPT, EXPECTED, EXPECTED_TEXT, EXPECTED_WHOLE
from lib.record.checks import BLANK_TEXT, anchor
from lib.record.contract import Contract, Field, Kind
from lib.record.place import Place, group_by_member
from lib.record.violations import Rule
from lib.spark.quoting import quote

# from_json stops at the end of the first JSON value and ignores what follows it. So the record's
# last brace is replaced by this extra field: it is read only if that brace closes the record.
_END_MARK = "\u0000end"
_END_MARK_JSON = rb',"\u0000end":true}'
# A value did not have the type of its column. If the record has the name twice, the column keeps
# the other value, although the last one counts. So the record is parsed a second time.
_CORRUPT = "\u0000corrupt"
# The match begins where white space begins. If it were tried from each blank, the time would grow
# with the square of their number.
_TRAILING_WHITE_SPACE = r"(?<![ \t\r\n])[ \t\r\n]+\z"
# Other JSON than strings looks like these in a string column; so do some texts.
_BARE_JSON_VALUE = r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|(?s:[\[{].*)"
# The options for strict JSON, like RFC 8259 and Python's parser.
_JSON_OPTIONS = {
    "mode": "PERMISSIVE",
    "allowSingleQuotes": "false",
    "allowNonNumericNumbers": "false",
    "columnNameOfCorruptRecord": _CORRUPT,
}


class JsonReader:
    """See :class:`lib.decode.formats.base.SparkReader`."""

    def parse_expr(self, contract: Contract) -> Column:
        """Build a struct of the contract's fields and both marks."""
        value = _trimmed_expr()
        body = F.substring(value, F.lit(1), F.octet_length(value) - 1)
        marked = F.concat(body, F.lit(bytearray(_END_MARK_JSON))).cast("string")
        is_readable = (F.octet_length("source_value") <= contract.max_bytes) & F.endswith(
            value, F.lit(b"}")
        )
        columns = _list_columns([(spec, spec.place) for spec in contract.checked], " ")
        schema = ", ".join([*columns, f"`{_END_MARK}` boolean", f"`{_CORRUPT}` string"])
        return F.when(is_readable, F.from_json(marked, schema, _JSON_OPTIONS))

    def is_whole_expr(self, parsed: Column) -> Column:
        """Build a boolean: whether the value is one object and nothing else, in UTF-8."""
        return parsed.getField(_END_MARK) & F.is_valid_utf8(_text_expr())

    def is_certain_expr(self, parsed: Column) -> Column:
        """Build a boolean: whether each value had the type of its column, or was null."""
        return parsed.getField(_CORRUPT).isNull()

    def doubt_expr(self, spec: Field, value: Column) -> Column | None:
        """Build a boolean: whether a string may be the text of another JSON value."""
        if spec.kind is Kind.CATEGORY:
            bare = [text for text in spec.allowed if re.fullmatch(_BARE_JSON_VALUE, text)]
            return value.isin(*bare) if bare else None
        if spec.kind is Kind.TIMESTAMP:  # only a string can match the pattern
            return None
        return value.rlike(anchor(_BARE_JSON_VALUE))

    def variant_expr(self) -> Column:
        """Build a VARIANT of the first JSON value, whatever follows it."""
        return F.try_parse_json(_text_expr())

    def list_refusals(self, record: Column, parsed: Column) -> tuple[Sequence[Refusal], Refusal]:
        """List bytes that are no UTF-8, values that are no object, and text of several values."""
        text = _text_expr()
        size = F.concat(F.octet_length("source_value").cast("string"), F.lit(" bytes"))
        is_blank = text.rlike(anchor(BLANK_TEXT))
        excerpt = F.when(is_blank, F.lit(BLANK_EXCERPT)).otherwise(text)
        kind = F.schema_of_variant(record)
        is_object = F.startswith(kind, F.lit("OBJECT"))
        # Like from_json, the VARIANT parser stops at the end of the first value.
        is_empty = text.rlike(anchor(r"\s*\{\s*\}\s*"))
        is_whole = F.when(is_object, F.coalesce(parsed.getField(_END_MARK), is_empty)).otherwise(
            _is_one_value_expr(text)
        )
        unreadable = Refusal(kind.isNull() | ~is_whole, Rule.NOT_JSON, excerpt, EXPECTED_WHOLE)
        return (
            Refusal(~F.is_valid_utf8(text), Rule.NOT_UTF8, size, EXPECTED_TEXT),
            unreadable,
            Refusal(~is_object, Rule.NOT_OBJECT, excerpt, EXPECTED),
        ), unreadable


def _text_expr() -> Column:
    return F.col("source_value").cast("string")


def _trimmed_expr() -> Column:
    """Return the value without trailing JSON white space, which it seldom has."""
    trimmed = F.regexp_replace(_text_expr(), _TRAILING_WHITE_SPACE, "").cast("binary")
    ends = F.endswith(F.col("source_value"), F.lit(b"}"))
    return F.when(ends, F.col("source_value")).otherwise(trimmed)


def _list_columns(pending: Sequence[tuple[Field, Place]], colon: str) -> list[str]:
    """List the members of an object for Spark's schema; nested objects are structs."""
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


def _is_one_value_expr(text: Column) -> Column:
    """Build a boolean, never null: whether a text is one JSON value and nothing else.

    In brackets such a text is an array of one, and with a second value behind it an array of two.
    The first test is not enough, because the text may have a bracket that closes the array early.
    """
    alone, followed = (
        F.json_array_length(F.concat(F.lit("["), text, F.lit(end))) for end in ("]", ",0]")
    )
    return F.coalesce((alone == 1) & (followed == 2), F.lit(False))
