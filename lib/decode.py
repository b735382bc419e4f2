"""What a valid record is, in plain Python: the reference for every other decoder.

:func:`decode_value` checks one Kafka value against a contract and lists all that is wrong with it.
``lib/decode_spark.py`` says the same as Spark expressions; ``tests/test_decoders_agree.py`` holds
the two together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Never

from lib.contract import Contract, Field, Kind

# JSON and Java know only these white-space characters in numbers; \s is theirs under re.ASCII.
NUMERIC_TEXT = r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*"
BLANK_TEXT = r"\s*"
# Longest excerpt of a value that a violation quotes.
MAX_FOUND_CHARS = 80


class Rule(StrEnum):
    """What was broken. The first five concern the whole record, the others one field."""

    NULL_VALUE = "null_value"
    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_OBJECT = "not_object"
    MISSING = "missing"
    WRONG_TYPE = "wrong_type"
    NOT_ALLOWED = "not_allowed"
    OUT_OF_RANGE = "out_of_range"
    MALFORMED = "malformed"


RECORD_RULES = frozenset(
    {Rule.NULL_VALUE, Rule.TOO_LARGE, Rule.NOT_UTF8, Rule.NOT_JSON, Rule.NOT_OBJECT}
)


@dataclass(frozen=True)
class Violation:
    """One reason why a record cannot be scored.

    Attributes:
        field: the field's name; empty where the record as a whole is meant.
        rule: what was broken.
        found: an excerpt of what stood there.
        expected: what would have been valid.
    """

    field: str
    rule: Rule
    found: str
    expected: str


@dataclass(frozen=True)
class Decoded:
    """A record after its checks.

    Attributes:
        violations: all of them, record first, then fields in the contract's order.
        identifier: the customer; None where it could not be read.
        features: name → str, int or float; empty unless the record is valid.
        event_time: as it stood in the record; None where missing.
    """

    violations: tuple[Violation, ...]
    identifier: str | None = None
    features: Mapping[str, str | int | float] = field(default_factory=dict)
    event_time: str | None = None

    @property
    def is_valid(self) -> bool:
        """Whether the record can be scored."""
        return not self.violations


def decode_value(value: bytes | None, contract: Contract) -> Decoded:
    """Parse and check one Kafka value.

    Args:
        value: the message's value as it came; None is a tombstone.
        contract: what a record has to look like.

    Returns:
        The typed features, or every violation. Never raises for any bytes.
    """
    if value is None:
        return _refuse(Rule.NULL_VALUE, "null", "a JSON object")
    if len(value) > contract.max_bytes:
        return _refuse(Rule.TOO_LARGE, f"{len(value)} bytes", f"at most {contract.max_bytes} bytes")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return _refuse(Rule.NOT_UTF8, f"{len(value)} bytes", "UTF-8 text")
    try:
        record = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return _refuse(Rule.NOT_JSON, _excerpt(text), "one JSON object and nothing else")
    if not isinstance(record, dict):
        return _refuse(Rule.NOT_OBJECT, _excerpt(text), "a JSON object")
    return check_record(record, contract)


def check_record(record: Mapping[str, Any], contract: Contract) -> Decoded:
    """Check a parsed record, field by field; unknown fields are ignored."""
    values: dict[str, Any] = {}
    violations = []
    for spec in contract.checked:
        value, rule = _check_field(record.get(spec.name), spec)
        if rule is not None:
            found = "nothing" if rule is Rule.MISSING else _excerpt(json.dumps(record[spec.name]))
            violations.append(Violation(spec.name, rule, found, spec.expected))
        values[spec.name] = value
    return Decoded(
        violations=tuple(violations),
        identifier=values[contract.identifier.name],
        features={} if violations else {name: values[name] for name in contract.feature_names},
        event_time=values[contract.event_time.name],
    )


def _check_field(value: Any, spec: Field) -> tuple[Any, Rule | None]:
    if value is None:
        return None, None if spec.nullable else Rule.MISSING
    if spec.is_numeric:
        return _check_number(value, spec)
    if not isinstance(value, str):
        return None, Rule.WRONG_TYPE
    if spec.kind is Kind.CATEGORY:
        return (value, None) if value in spec.allowed else (None, Rule.NOT_ALLOWED)
    if re.fullmatch(spec.pattern or ".*", value, re.ASCII) is None:
        return None, Rule.MALFORMED
    return value, None


def _check_number(value: Any, spec: Field) -> tuple[int | float | None, Rule | None]:
    if isinstance(value, str) and spec.numeric_text:
        if spec.blank is not None and re.fullmatch(BLANK_TEXT, value, re.ASCII):
            return spec.blank, None
        if re.fullmatch(NUMERIC_TEXT, value, re.ASCII) is None:
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


def _refuse(rule: Rule, found: str, expected: str) -> Decoded:
    return Decoded(violations=(Violation("", rule, found, expected),))


def _refuse_constant(token: str) -> Never:
    raise ValueError(f"{token} is not JSON")


def _excerpt(text: str) -> str:
    return text[:MAX_FOUND_CHARS] if text.strip() else "nothing but white space"
