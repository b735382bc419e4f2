"""The table of the rules of a field, from which each engine derives its checks.

:data:`CHECKS` names rule, fields and condition. Engines have different values, so each defines once
how it tests a condition: this module for a parsed value, which is the reference,
``lib/decode/engines/arrow.py`` for columns, and ``lib/decode/engines/conditions.py`` for Spark.
Property tests over random contracts compare them.

Two values are valid whatever the conditions are: a missing value of a nullable field, and blank
text for a number whose field gives blanks a meaning.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from lib.record.contract import Field, Kind
from lib.record.violations import Rule

# JSON and Java know only the white-space characters that \s matches under re.ASCII.
# The pattern matches no digits in two ways, because hostile text would be tried in all of them.
NUMERIC_TEXT = r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*"
BLANK_TEXT = r"\s*"
#: The compiled pattern for engines in Python.
NUMBER, BLANK = (re.compile(text, re.ASCII) for text in (NUMERIC_TEXT, BLANK_TEXT))


class Condition(StrEnum):
    """The conditions on a value; some compare it with a limit that the field sets."""

    IS_TEXT = "is_text"
    IS_BOOLEAN = "is_boolean"
    IS_NUMBER = "is_number"  # a number, or text that holds one, where the field takes numeric text
    IS_IN = "is_in"  # the limit: the allowed texts
    IS_SHORT = "is_short"  # the limit: the largest number of characters
    MATCHES = "matches"  # the limit: a pattern for the whole text
    IS_BETWEEN = "is_between"  # the limit: the smallest and the largest number
    IS_WHOLE = "is_whole"


@dataclass(frozen=True)
class Check:
    """One row of the table.

    Attributes:
        rule: the rule that is broken if the condition does not hold.
        condition: the condition that a valid value keeps.
        kinds: the kinds of fields that are checked.
        limit: the attribute of the field that the condition compares with. A field where it is None
            is not checked.
    """

    rule: Rule
    condition: Condition
    kinds: tuple[Kind, ...]
    limit: str | None = None


_NUMERIC = (Kind.INTEGER, Kind.NUMBER)
_FREE_TEXT = (Kind.TEXT, Kind.TIMESTAMP)

#: In the order in which a value is checked: the first rule that it breaks is its violation.
CHECKS = (
    Check(Rule.WRONG_TYPE, Condition.IS_TEXT, (Kind.CATEGORY, *_FREE_TEXT)),
    Check(Rule.WRONG_TYPE, Condition.IS_BOOLEAN, (Kind.BOOLEAN,)),
    Check(Rule.WRONG_TYPE, Condition.IS_NUMBER, _NUMERIC),
    Check(Rule.NOT_ALLOWED, Condition.IS_IN, (Kind.CATEGORY,), "allowed"),
    Check(Rule.MALFORMED, Condition.IS_SHORT, _FREE_TEXT, "max_chars"),
    Check(Rule.MALFORMED, Condition.MATCHES, _FREE_TEXT, "pattern"),
    Check(Rule.OUT_OF_RANGE, Condition.IS_BETWEEN, _NUMERIC, "range"),
    Check(Rule.WRONG_TYPE, Condition.IS_WHOLE, (Kind.INTEGER,)),
)


def find_limits(spec: Field) -> dict[Condition, Any]:
    """Find the conditions that a field's values have to keep → limit, or True without one."""
    limits = {
        check.condition: getattr(spec, check.limit) if check.limit else True
        for check in CHECKS
        if spec.kind in check.kinds
    }
    return {condition: limit for condition, limit in limits.items() if limit is not None}


def anchor(pattern: str) -> str:
    """Anchor a pattern to the whole text, for engines that search: Java's and RE2's."""
    return rf"\A(?:{pattern})\z"


Checked = tuple[Any, Rule | None]


def check_value(value: Any, spec: Field) -> Checked:
    """Check one parsed value against the rules of its field.

    Args:
        value: the value from Python's JSON parser; None for null and for a missing value.
        spec: the field.

    Returns:
        The value as the model gets it and None, or None and the rule that is broken. A missing
        value of a nullable field is None and valid.
    """
    if value is None:
        return None, None if spec.nullable else Rule.MISSING
    kind = spec.kind
    if kind in _NUMERIC:
        if spec.blank is not None and isinstance(value, str) and BLANK.fullmatch(value):
            return spec.blank, None
        value = _read_number(value, takes_text=spec.numeric_text)
    for rule, holds, limit in _BY_KIND[kind]:
        given = getattr(spec, limit) if limit else True
        if given is not None and not holds(value, given):
            return None, rule
    return (int(value) if kind in _INTEGERS else value), None


def _read_number(value: Any, *, takes_text: bool) -> float | None:
    """Read a number; None for a value that is no number."""
    if isinstance(value, str):
        if not takes_text or NUMBER.fullmatch(value) is None:
            return None
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # the integer does not fit into a float64, and is outside of any range
        return math.inf


@lru_cache(maxsize=256)
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


# The value of a number is the result of `_read_number`.
_HOLDS: dict[Condition, Callable[[Any, Any], bool]] = {
    Condition.IS_TEXT: lambda value, _: isinstance(value, str),
    Condition.IS_BOOLEAN: lambda value, _: isinstance(value, bool),
    Condition.IS_NUMBER: lambda number, _: number is not None,
    Condition.IS_IN: lambda text, allowed: text in allowed,
    Condition.IS_SHORT: lambda text, most: len(text) <= most,
    Condition.MATCHES: lambda text, pattern: _compile(pattern).fullmatch(text) is not None,
    Condition.IS_BETWEEN: lambda number, ends: ends[0] <= number <= ends[1],
    Condition.IS_WHOLE: lambda number, _: number.is_integer(),
}
_BY_KIND = {
    kind: tuple(
        (check.rule, _HOLDS[check.condition], check.limit)
        for check in CHECKS
        if kind in check.kinds
    )
    for kind in Kind
}
# A boolean reaches the model as 1 or 0.
_INTEGERS = (Kind.INTEGER, Kind.BOOLEAN)
