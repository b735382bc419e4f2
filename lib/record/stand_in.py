"""Derives harmless values from a field's rules, for records whose own cannot be scored."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from lib.record.checks import check_value
from lib.record.contract import Field, Kind, Value

# These are tried before a text is made from the pattern, because they read better.
_TEXTS = ("", "unknown", "A", "a", "0", "1970-01-01T00:00:00Z")
_ATTEMPTS = 100


def derive_stand_in(field: Field) -> Value:
    """Derive a valid value for a field, which is always the same one.

    Returns:
        The value, also for a nullable field; None if the field's pattern gives none.
    """
    match field.kind:
        case Kind.CATEGORY:
            return field.allowed[0]
        case Kind.BOOLEAN:
            return False
        case Kind.INTEGER | Kind.NUMBER:
            low, high = field.range
            number = min(max(0.0, low), high)
            return int(number) if field.kind is Kind.INTEGER else number
    return next((text for text in _TEXTS if _is_valid(text, field)), None) or _make_text(field)


def add_stand_in(field: Field) -> Field:
    """Give a field the stand-in that follows from its rules."""
    return replace(field, stand_in=derive_stand_in(field))


def find_fault(value: Value, field: Field) -> str | None:
    """Say what is expected instead of a value that the field refuses; None if it takes it."""
    return None if _is_valid(value, field) else field.expected


def _is_valid(value: Value, field: Field) -> bool:
    return value is not None and check_value(value, field)[1] is None


def _make_text(field: Field) -> str | None:
    """Make a text that matches the pattern."""
    if _is_valid("", field):
        return ""
    import rstr  # imported here, because few contracts need it

    maker = rstr.Rstr(Random(1))
    texts = (maker.xeger(field.pattern or "") for _ in range(_ATTEMPTS))
    return next((text for text in texts if _is_valid(text, field)), None)
