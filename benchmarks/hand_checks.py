"""Check records as a careful user of a framework would by hand, field by field.

These are the contract's types, allowed values, ranges and patterns. What the project checks beside
them is missing: sizes, repeated names in an object, the exact forms of numbers and times.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from benchmarks.telco import CUSTOMER, EVENT_TIME
from lib.record.contract import Field, Kind

_ALLOWED = [(it.name, frozenset(it.allowed)) for it in CUSTOMER.features if it.allowed]
_IDENTIFIER = CUSTOMER.identifier.name
_RANGES = {it.name: it.range for it in CUSTOMER.numeric}
_PATTERN = re.compile(CUSTOMER.identifier.pattern or ".*")


def find_violations(record: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a record, one phrase for each field; nothing if it is valid."""
    get, found = record.get, []
    identifier = get(_IDENTIFIER)
    if not isinstance(identifier, str) or not _PATTERN.fullmatch(identifier):
        found.append(f"{_IDENTIFIER}: expected text like {_PATTERN.pattern}")
    if not _is_time(get(EVENT_TIME)):
        found.append(f"{EVENT_TIME}: expected an ISO 8601 timestamp")
    for name, allowed in _ALLOWED:
        value = get(name)
        if not isinstance(value, str) or value not in allowed:
            found.append(f"{name}: expected one of {', '.join(sorted(allowed))}")
    found += [
        f"{field.name}: expected {field.expected}"
        for field in CUSTOMER.numeric
        if not _is_number(field, get(field.name))
    ]
    return found


def _is_number(field: Field, value: Any) -> bool:
    if isinstance(value, str) and field.numeric_text:
        if field.blank is not None and not value.strip():
            return True
        value = _read_number(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    low, high = _RANGES[field.name]
    return low <= value <= high and (field.kind is not Kind.INTEGER or value == int(value))


def _is_time(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


def _read_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
