"""Decodes and checks a record in plain Python, as the reference for every other decoder.

:func:`decode_value` checks one Kafka value against a contract and lists all its violations.
``spark.py`` does so with Spark expressions, ``arrow.py`` for whole batches;
``tests/decode/test_decoders_agree.py`` and ``tests/decode/test_decode_batch.py`` compare the three.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lib.decode.formats import find_format
from lib.decode.formats.base import RefusedError
from lib.record.checks import check_value
from lib.record.contract import Contract
from lib.record.place import look_up
from lib.record.violations import MAX_FOUND_CHARS, Rule, Violation


@dataclass(frozen=True)
class Decoded:
    """A record after its checks.

    Attributes:
        violations: all violations, those of the record first, then fields in the contract's order.
        identifier: the identifier of the record; None if it could not be read.
        features: name → str, int or float, None for a missing value; empty unless the record is
            valid.
        event_time: the text in the record; None if it is missing.
    """

    violations: tuple[Violation, ...]
    identifier: str | None = None
    features: Mapping[str, str | int | float | None] = field(default_factory=dict)
    event_time: str | None = None

    @property
    def is_valid(self) -> bool:
        """Whether the record can be scored."""
        return not self.violations


def decode_value(value: bytes | None, contract: Contract) -> Decoded:
    """Parse and check one Kafka value.

    Args:
        value: the message's value; None for a tombstone.
        contract: the contract of the records.

    Returns:
        The typed features, or every violation. No bytes make this function raise.
    """
    form = find_format(contract)
    if value is None:
        return _refuse(Rule.NULL_VALUE, "null", form.expected)
    if len(value) > contract.max_bytes:
        return _refuse(Rule.TOO_LARGE, f"{len(value)} bytes", f"at most {contract.max_bytes} bytes")
    try:
        with form.open(value) as record:
            decoded = check_record(record, contract)
            if decoded.violations:
                form.check_shown(record, value)
            return decoded
    except RefusedError as error:
        return _refuse(error.rule, error.found, error.expected)


def check_record(record: Mapping[str, Any], contract: Contract) -> Decoded:
    """Check a parsed record, field by field; unknown fields are ignored."""
    show = find_format(contract).show
    values: dict[str, Any] = {}
    violations = []
    for spec in contract.checked:
        stands, is_reached = look_up(record, spec.place)
        value, rule = check_value(stands, spec) if is_reached else (None, Rule.WRONG_TYPE)
        if rule is not None:
            found = "nothing" if rule is Rule.MISSING else show(stands)[:MAX_FOUND_CHARS]
            violations.append(Violation(spec.name, rule, found, spec.expected))
        values[spec.name] = value
    return Decoded(
        violations=tuple(violations),
        identifier=values[contract.identifier.name],
        features={} if violations else {name: values[name] for name in contract.feature_names},
        event_time=None if contract.event_time is None else values[contract.event_time.name],
    )


def _refuse(rule: Rule, found: str, expected: str) -> Decoded:
    return Decoded(violations=(Violation("", rule, found[:MAX_FOUND_CHARS], expected),))
