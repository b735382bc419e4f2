"""What a valid record is, in plain Python: the reference for every other decoder.

:func:`decode_value` checks one Kafka value against a contract and lists all that is wrong with it.
``spark.py`` says the same as Spark expressions, ``arrow.py`` for whole batches;
``tests/decode/test_decoders_agree.py`` and ``tests/decode/test_decode_batch.py`` hold the three
together.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Never

from lib.record.checks import check_value
from lib.record.contract import Contract
from lib.record.place import look_up
from lib.record.violations import Rule, Violation

# Longest excerpt of a value that a violation quotes.
MAX_FOUND_CHARS = 80
# What goes beyond these is refused as JSON. They are the limits of Jackson, the parser in Spark,
# whose stack and processor they protect; a record that is meant well comes nowhere near them.
MAX_DEPTH = 1_000
MAX_NUMBER_DIGITS = 1_000
MAX_NAME_CHARS = 50_000
# As deep as Python parses wherever it is called.
_PLAIN_DEPTH = 200
_WHITE_SPACE = " \t\r\n"


@dataclass(frozen=True)
class Decoded:
    """A record after its checks.

    Attributes:
        violations: all of them, record first, then fields in the contract's order.
        identifier: of the record; None where it could not be read.
        features: name → str, int or float, None where it is missing and may be; empty unless the
            record is valid.
        event_time: as it stood in the record; None where missing.
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
    with _room_to_nest(text):
        return _decode_text(text, contract)


def _decode_text(text: str, contract: Contract) -> Decoded:
    try:
        record = _parse(text)
    except (ValueError, RecursionError):
        return _refuse(Rule.NOT_JSON, _excerpt(text), "one JSON object and nothing else")
    if not isinstance(record, dict):
        return _refuse(Rule.NOT_OBJECT, _excerpt(text), "a JSON object")
    decoded = check_record(record, contract)
    if decoded.violations and not _is_unicode(record):
        # Half a surrogate pair, written as an escape: what cannot be shown is not explained.
        return _refuse(Rule.NOT_JSON, _excerpt(text), "one JSON object and nothing else")
    return decoded


def check_record(record: Mapping[str, Any], contract: Contract) -> Decoded:
    """Check a parsed record, field by field; unknown fields are ignored."""
    values: dict[str, Any] = {}
    violations = []
    for spec in contract.checked:
        stands, is_reached = look_up(record, spec.place)
        value, rule = check_value(stands, spec) if is_reached else (None, Rule.WRONG_TYPE)
        if rule is not None:
            found = "nothing" if rule is Rule.MISSING else _excerpt(json.dumps(stands))
            violations.append(Violation(spec.name, rule, found, spec.expected))
        values[spec.name] = value
    return Decoded(
        violations=tuple(violations),
        identifier=values[contract.identifier.name],
        features={} if violations else {name: values[name] for name in contract.feature_names},
        event_time=None if contract.event_time is None else values[contract.event_time.name],
    )


def _refuse(rule: Rule, found: str, expected: str) -> Decoded:
    return Decoded(violations=(Violation("", rule, found, expected),))


@contextmanager
def _room_to_nest(text: str) -> Iterator[None]:
    """Python's own limit of recursion lies below :data:`MAX_DEPTH`, and counts callers too."""
    if _count_openings(text) <= _PLAIN_DEPTH:
        yield
        return
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 5 * MAX_DEPTH)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _parse(text: str) -> Any:
    """Parse strict JSON within the limits above.

    Raises:
        ValueError: it is no such JSON.
    """
    if _count_openings(text) > _PLAIN_DEPTH:
        _check_depth(text)
    return json.loads(
        text,
        parse_int=lambda token: int(_check_digits(token)),
        parse_float=lambda token: float(_check_digits(token)),
        parse_constant=_refuse_constant,
        object_pairs_hook=_check_names if len(text) > MAX_NAME_CHARS else None,
    )


def _count_openings(text: str) -> int:
    return text.count("[") + text.count("{")


def _check_digits(token: str) -> str:
    if len(token) <= MAX_NUMBER_DIGITS:
        return token
    # A zero before the point does not count.
    if sum(map(str.isdigit, token.removeprefix("-").removeprefix("0"))) > MAX_NUMBER_DIGITS:
        raise ValueError(f"a number of more than {MAX_NUMBER_DIGITS} digits")
    return token


def _check_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if any(len(name) > MAX_NAME_CHARS for name, _ in pairs):
        raise ValueError(f"a name of more than {MAX_NAME_CHARS} characters")
    return dict(pairs)


def _check_depth(text: str) -> None:
    # Spark looks at what is no object in a list of its own.
    depth = 0 if text.lstrip(_WHITE_SPACE).startswith("{") else 1
    for bracket in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text, re.DOTALL):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(bracket[0], 0)
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")


def _is_unicode(record: Mapping[str, Any]) -> bool:
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(token: str) -> Never:
    raise ValueError(f"{token} is not JSON")


def _excerpt(text: str) -> str:
    return text[:MAX_FOUND_CHARS] if text.strip() else "nothing but white space"
