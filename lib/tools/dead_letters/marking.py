"""Writes a record as lines of text, with a mark under whatever is wrong in it. Pure.

A JSON object takes a line for each member, with the very characters of the record. Anything else is
shown as an excerpt around the place at which it stops being a JSON object. All that does not print
is escaped, so no record can do anything to the terminal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from json import JSONDecoder

from lib.printable import escape, measure, shorten
from lib.record.place import Place
from lib.record.violations import RECORD_RULES, Rule, Violation

MAX_VALUE_CHARS = 120
#: The largest number of members of one object that are written although nothing is wrong in them.
MAX_MEMBERS = 100
_CONTEXT_CHARS = 60
_EXCERPT_BYTES = 4_096
_INDENT = "  "
_SPACE = re.compile(r"[ \t\n\r]*")
_LINE_BREAK = re.compile(r"\s*\n\s*")
_NO_JSON = re.compile(r'"(?:[^"\\]|\\.)*"|(?P<word>-?Infinity|NaN)')
_DECODER = JSONDecoder()


@dataclass(frozen=True)
class Member:
    """A member of a JSON object: its name, and where the text of its value begins and ends."""

    name: str
    start: int
    end: int


def mark_record(
    value: bytes | None, violations: Sequence[Violation], places: Mapping[str, Place]
) -> Iterator[str]:
    """Write a record with what is wrong in it.

    Args:
        value: the record; None for a tombstone.
        violations: the violations of the record.
        places: field → its place in the record; a field that is not listed is a member of the
            record's own object.

    Yields:
        Lines of printable characters.
    """
    if value is None:
        yield from ("no value", *_describe(violations, ""))
        return
    is_whole = any(it.rule in RECORD_RULES for it in violations)
    try:
        text = value.decode()
        members = () if is_whole else read_members(text, 0)
    except UnicodeDecodeError as error:
        yield from _point(value, error.start, violations)
        return
    except (ValueError, RecursionError):
        members = ()
    if members:
        by_place = [(places.get(it.field, (it.field,)), it) for it in violations]
        yield from _write_object(text, members, by_place, "")
    else:
        is_broken = any(it.rule is Rule.NOT_JSON for it in violations)
        yield from _point(value, _find_break(text) if is_broken else 0, violations)


def read_members(text: str, start: int) -> list[Member]:
    """Find the members of the JSON object that begins at a place of a text.

    Raises:
        ValueError: there is no JSON object.
        RecursionError: the object is nested too deeply to be read.
    """
    at = _skip(text, start)
    if text[at : at + 1] != "{":
        raise ValueError("no object")
    members: list[Member] = []
    at = _skip(text, at + 1)
    while text[at : at + 1] != "}":
        if text[at : at + 1] != '"':
            raise ValueError("no name")
        name, at = _DECODER.raw_decode(text, at)
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise ValueError("no colon")
        begin = _skip(text, at + 1)
        _, end = _DECODER.raw_decode(text, begin)
        members.append(Member(name, begin, end))
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "}":
            raise ValueError("no comma")
    return members


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _write_object(
    text: str,
    members: Sequence[Member],
    wrong: Sequence[tuple[Place, Violation]],
    indent: str,
) -> Iterator[str]:
    """Write the members of an object, those within which something is wrong in full."""
    yield f"{indent}{{"
    inner, left_out = indent + _INDENT, 0
    # The last one of several members with one name counts.
    last = {member.name: member for member in members}
    for number, member in enumerate(members):
        is_counted = last[member.name] is member
        own = [(place, it) for place, it in wrong if is_counted and place[0] == member.name]
        if not own and number >= MAX_MEMBERS:
            left_out += 1
            continue
        name = f"{inner}{shorten(json.dumps(member.name, ensure_ascii=False), MAX_VALUE_CHARS)}: "
        within = [(place[1:], it) for place, it in own if place[1:]]
        nested = _try_members(text, member.start) if within else ()
        if nested:
            first, *rest = _write_object(text, nested, within, inner)
            yield f"{name}{first.lstrip()}"
            yield from rest
            own = [(place, it) for place, it in own if not place[1:]]
        else:
            yield f"{name}{_write_value(text[member.start : member.end])},"
        width = measure(_write_value(text[member.start : member.end]))
        pointer = " " * measure(name) + "^" * max(1, min(width, MAX_VALUE_CHARS))
        yield from _describe([it for _, it in own], pointer)
    if left_out:
        yield f"{inner}… {left_out:,} more members"
    absent = [it for place, it in wrong if place[0] not in last]
    yield from _describe(absent, f"{inner}^")
    yield f"{indent}}}"


def _try_members(text: str, start: int) -> Sequence[Member]:
    try:
        return read_members(text, start)
    except ValueError:  # another type of value stands where an object should
        return ()


def _write_value(text: str) -> str:
    # A string of JSON holds no line break, so none of a value's own characters is lost.
    return shorten(_LINE_BREAK.sub(" ", text[: 2 * MAX_VALUE_CHARS]), MAX_VALUE_CHARS)


def _find_break(text: str) -> int:
    """Find the character at which a text stops being JSON; 0 if it does not."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.pos
    except (ValueError, RecursionError):
        return 0
    # Python reads these words, which are no JSON.
    return next((it.start() for it in _NO_JSON.finditer(text) if it["word"]), 0)


def _point(value: bytes, at: int, violations: Sequence[Violation]) -> Iterator[str]:
    """Write an excerpt around a place, in bytes or in characters of a text, and mark the place."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        # The place counts bytes, and each byte that is no text becomes an escape.
        text = value[max(0, at - _EXCERPT_BYTES) : at].decode(errors="backslashreplace")
        before, at = text, len(text)
        text = before + value[at : at + _EXCERPT_BYTES].decode(errors="backslashreplace")
    first = max(0, at - _CONTEXT_CHARS)
    before = ("…" if first else "") + escape(text[first:at])
    after = shorten(text[at : at + 2 * _CONTEXT_CHARS], _CONTEXT_CHARS)
    yield f"{before}{after}"
    yield from _describe(violations, " " * measure(before) + "^")


def _describe(violations: Sequence[Violation], pointer: str) -> Iterator[str]:
    prefix = f"{pointer} " if pointer else ""
    for it in violations:
        name = f"{escape(it.field)} " if it.field else ""
        expected = shorten(it.expected, 4 * MAX_VALUE_CHARS)
        yield f"{prefix}{name}{it.rule}: found {escape(it.found)}, expected {expected}"
