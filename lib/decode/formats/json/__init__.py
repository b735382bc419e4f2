"""The format JSON: a record is one object of RFC 8259, within the limits of Spark's parser."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Never

from lib.decode.formats.base import RefusedError, RowParser
from lib.record.contract import Contract
from lib.record.violations import Rule

if TYPE_CHECKING:
    from lib.decode.formats.base import SparkReader

EXPECTED = "a JSON object"
EXPECTED_WHOLE = "one JSON object and nothing else"
EXPECTED_TEXT = "UTF-8 text"
# The longest excerpt of a record as a whole that a violation quotes.
BLANK_EXCERPT = "nothing but white space"
# A record beyond these limits is refused as JSON. They are the limits of Jackson, Spark's parser,
# and protect its stack and processor; real records are far below them.
MAX_DEPTH = 1_000
MAX_NUMBER_DIGITS = 1_000
MAX_NAME_CHARS = 50_000
# Python parses JSON of this depth wherever it is called.
PLAIN_DEPTH = 200
_WHITE_SPACE = " \t\r\n"


class JsonFormat:
    """See :class:`lib.decode.formats.base.Format`."""

    expected = EXPECTED

    @contextmanager
    def open(self, value: bytes) -> Iterator[Mapping[str, Any]]:
        """Read the object that a value holds; of two members with one name the last counts."""
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise RefusedError(Rule.NOT_UTF8, f"{len(value)} bytes", EXPECTED_TEXT) from error
        with _room_to_nest(text):
            try:
                record = _parse(text)
            except (ValueError, RecursionError) as error:
                raise _unreadable(text) from error
            if not isinstance(record, dict):
                raise RefusedError(Rule.NOT_OBJECT, _excerpt(text), EXPECTED)
            yield record

    def check_shown(self, record: Mapping[str, Any], value: bytes) -> None:
        """Refuse a record with half a surrogate pair as an escape, which cannot be quoted."""
        try:
            json.dumps(record, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise _unreadable(value.decode()) from error

    def show(self, value: Any) -> str:
        """Write a value as JSON."""
        return json.dumps(value)

    def build_row_parser(self, contract: Contract) -> RowParser:
        """Build the parser with msgspec."""
        from lib.decode.formats.json.rows import build_row_parser

        return build_row_parser(contract)

    def get_spark_reader(self) -> SparkReader:
        """Return Spark's parsers: ``from_json`` and ``try_parse_json``."""
        from lib.decode.formats.json.columns import JsonReader

        return JsonReader()


def _unreadable(text: str) -> RefusedError:
    return RefusedError(Rule.NOT_JSON, _excerpt(text), EXPECTED_WHOLE)


@contextmanager
def _room_to_nest(text: str) -> Iterator[None]:
    """Raise Python's limit of recursion, which counts callers too, to :data:`MAX_DEPTH`."""
    if _count_openings(text) <= PLAIN_DEPTH:
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
        ValueError: the text is no such JSON.
    """
    if _count_openings(text) > PLAIN_DEPTH:
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
    # A zero before the decimal point does not count.
    if sum(map(str.isdigit, token.removeprefix("-").removeprefix("0"))) > MAX_NUMBER_DIGITS:
        raise ValueError(f"a number of more than {MAX_NUMBER_DIGITS} digits")
    return token


def _check_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if any(len(name) > MAX_NAME_CHARS for name, _ in pairs):
        raise ValueError(f"a name of more than {MAX_NAME_CHARS} characters")
    return dict(pairs)


def _check_depth(text: str) -> None:
    # Spark lists values that are no objects separately.
    depth = 0 if text.lstrip(_WHITE_SPACE).startswith("{") else 1
    for bracket in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text, re.DOTALL):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(bracket[0], 0)
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")


def _refuse_constant(token: str) -> Never:
    raise ValueError(f"{token} is not JSON")


def _excerpt(text: str) -> str:
    return text if text.strip() else BLANK_EXCERPT
