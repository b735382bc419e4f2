"""The rules of a field, in plain Python: the reference for every other engine.

A check looks at one parsed JSON value. ``spark_violations.py`` says the same as Spark expressions,
``arrow.py`` for whole columns; property tests over random contracts compare the engines.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from lib.record.contract import Field, Kind
from lib.record.violations import Rule

# JSON and Java know only these white-space characters in numbers; \s is theirs under re.ASCII.
# Nothing in it can match the same digits in two ways: hostile text would be tried in all of them.
NUMERIC_TEXT = r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*"
BLANK_TEXT = r"\s*"
#: The same for engines in Python.
NUMBER, BLANK = (re.compile(text, re.ASCII) for text in (NUMERIC_TEXT, BLANK_TEXT))

Checked = tuple[Any, Rule | None]


def check_value(value: Any, spec: Field) -> Checked:
    """Check one parsed JSON value against the rules of its field.

    Args:
        value: as Python's JSON parser gives it; None for null and for a missing value.
        spec: the field.

    Returns:
        The value as the model gets it and None, or None and the rule that is broken. A missing
        value of a nullable field is None and valid.
    """
    if value is None:
        return None, None if spec.nullable else Rule.MISSING
    if spec.is_numeric:
        return _check_number(value, spec)
    if spec.kind is Kind.BOOLEAN:
        return (int(value), None) if isinstance(value, bool) else (None, Rule.WRONG_TYPE)
    if not isinstance(value, str):
        return None, Rule.WRONG_TYPE
    if spec.kind is Kind.CATEGORY:
        return (value, None) if value in spec.allowed else (None, Rule.NOT_ALLOWED)
    return (value, None) if _is_well_formed(value, spec) else (None, Rule.MALFORMED)


def _is_well_formed(text: str, spec: Field) -> bool:
    if spec.max_chars is not None and len(text) > spec.max_chars:
        return False
    return spec.pattern is None or _compile(spec.pattern).fullmatch(text) is not None


def _check_number(value: Any, spec: Field) -> Checked:
    if isinstance(value, str) and spec.numeric_text:
        if spec.blank is not None and BLANK.fullmatch(value):
            return spec.blank, None
        if NUMBER.fullmatch(value) is None:
            return None, Rule.WRONG_TYPE
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return None, Rule.WRONG_TYPE
    try:
        number = float(value)
    except OverflowError:  # an integer beyond float64: outside of any range
        return None, Rule.OUT_OF_RANGE
    low, high = spec.range
    if not low <= number <= high:
        return None, Rule.OUT_OF_RANGE
    if spec.kind is Kind.INTEGER:
        return (int(number), None) if number.is_integer() else (None, Rule.WRONG_TYPE)
    return number, None


@lru_cache(maxsize=256)
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)
