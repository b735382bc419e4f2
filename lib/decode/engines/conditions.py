"""The conditions of :mod:`lib.record.checks` as Spark expressions on parsed values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from lib.record.checks import Condition, anchor


@dataclass(frozen=True)
class Value:
    """The value in a field of each record, as columns.

    Attributes:
        text: a string; null if the value is no text.
        number: a double; null if the value is no number and no text that holds one.
        is_text, is_boolean, is_number: booleans that tell the type of the value.
    """

    text: Column
    number: Column
    is_text: Column
    is_boolean: Column
    is_number: Column


def matches_expr(text: Column, pattern: str) -> Column:
    """Build a boolean: whether a pattern matches the whole text, like Python's under re.ASCII."""
    return text.rlike(anchor(pattern))


def _is_in_expr(text: Column, allowed: Any) -> Column:
    is_constant = isinstance(allowed, tuple)
    return text.isin(*allowed) if is_constant else F.array_contains(allowed, text)


# A limit is the field's own, or a column of limits, patterns anchored, where one expression is for
# several fields. Where a limit is null, or what it is compared with, the result is null.
HOLDS: dict[Condition, Callable[[Value, Any], Column]] = {
    Condition.IS_TEXT: lambda it, _: it.is_text,
    Condition.IS_BOOLEAN: lambda it, _: it.is_boolean,
    Condition.IS_NUMBER: lambda it, _: it.is_number,
    Condition.IS_IN: lambda it, allowed: _is_in_expr(it.text, allowed),
    Condition.IS_SHORT: lambda it, most: most >= F.char_length(it.text),
    Condition.MATCHES: lambda it, pattern: (
        matches_expr(it.text, pattern) if isinstance(pattern, str) else F.rlike(it.text, pattern)
    ),
    Condition.IS_BETWEEN: lambda it, ends: it.number.between(ends[0], ends[1]),
    Condition.IS_WHOLE: lambda it, _: it.number == F.floor(it.number),
}
