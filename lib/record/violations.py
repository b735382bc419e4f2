"""The rules of a record by name, and a violation of one of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """The rules. The first five concern the whole record, the others one field."""

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


#: The longest excerpt of a value that a violation quotes.
MAX_FOUND_CHARS = 80
RECORD_RULES = frozenset(
    {Rule.NULL_VALUE, Rule.TOO_LARGE, Rule.NOT_UTF8, Rule.NOT_JSON, Rule.NOT_OBJECT}
)


@dataclass(frozen=True)
class Violation:
    """One reason why a record cannot be scored.

    Attributes:
        field: the field's name; empty for the record as a whole.
        rule: the rule that was broken.
        found: an excerpt of the value.
        expected: a phrase that describes valid values.
    """

    field: str
    rule: Rule
    found: str
    expected: str

    def to_dict(self) -> dict[str, str]:
        """Return the attributes by name, in the form of a dead letter."""
        return {
            "field": self.field,
            "rule": str(self.rule),
            "found": self.found,
            "expected": self.expected,
        }
