"""Lists dead letters in a line each, and shows single ones with their records. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lib.messages.dead_letter import ErrorType, write_original
from lib.messages.framing import find_framing
from lib.messages.keys import spell_key
from lib.printable import align, escape, shorten
from lib.record.contract import Contract
from lib.tools.dead_letters.entry import Entry, build_facts, build_original, format_time
from lib.tools.dead_letters.marking import mark_record
from lib.tools.dead_letters.selection import name_cause

_KEY_CHARS = 40
_TEXT_CHARS = 300
_TITLES = ("letter", "failed", "record", "key", "what is wrong, first of all")


def list_entries(entries: Sequence[Entry]) -> Iterator[str]:
    """Write a line for each letter: its place, time, record and first error."""
    rows = [
        (
            it.place,
            format_time(it.time),
            it.source,
            shorten(spell_key(it.letter.key), _KEY_CHARS) or "–",
            escape(name_cause(it.letter)),
        )
        for it in entries
    ]
    if rows:
        yield from align([_TITLES, *rows], left=range(len(_TITLES)))


def describe_entry(entry: Entry, contract: Contract | None) -> Iterator[str]:
    """Write all that a letter holds, and its record with what is wrong marked.

    Args:
        entry: the letter.
        contract: the contract of the records, which tells where a field stands in a record and
            which framing is none; None if it is not known.
    """
    letter, sent = entry.letter, entry.letter.retry_count
    yield f"letter   {entry.place}, written {format_time(entry.written)}"
    yield f"record   {entry.source}, {_describe_key(letter.key)}"
    yield f"failed   {format_time(entry.time)}, {letter.error_type}, sent again {sent:,} times"
    yield f"message  {shorten(letter.message, _TEXT_CHARS)}"
    for name, content in letter.headers:
        text, encoding = write_original(content)
        shown = "no value" if text is None else shorten(text, _TEXT_CHARS)
        is_plain = encoding in (None, "utf-8")
        yield f"header   {escape(name)}: {shown}{'' if is_plain else ' (base64)'}"
    if hint := _find_hint(entry, contract):
        yield f"hint     {hint}"
    size = "none" if letter.value is None else f"{len(letter.value):,} bytes"
    yield f"value    {size}"
    places = {} if contract is None else {it.name: it.place for it in contract.checked}
    for line in mark_record(letter.value, letter.violations, places):
        yield f"    {line}"


def build_line(entry: Entry) -> dict[str, Any]:
    """Return the facts of a letter for machines, without its record."""
    letter = entry.letter
    return {
        "partition": entry.partition,
        "offset": entry.offset,
        "written": None if entry.written is None else entry.written.isoformat(),
        **build_facts(letter),
        "key": spell_key(letter.key) if letter.key is not None else None,
        "violations": [it.to_dict() for it in letter.violations],
    }


def build_whole(entry: Entry, contract: Contract | None) -> dict[str, Any]:
    """Return all that a letter holds for machines: its headers and its record too."""
    letter = entry.letter
    headers = [(name, *write_original(content)) for name, content in letter.headers]
    return {
        **build_line(entry),
        "hint": _find_hint(entry, contract),
        "headers": [{"name": it, "value": text, "encoding": form} for it, text, form in headers],
        **build_original(letter.key, letter.value),
    }


def _find_hint(entry: Entry, contract: Contract | None) -> str | None:
    """Say what the value looks like, if it is in something that is put around records."""
    if contract is None or entry.letter.error_type is ErrorType.INFERENCE:
        return None
    framing = find_framing(entry.letter.value, contract)
    return None if framing is None else framing.hint


def _describe_key(key: bytes | None) -> str:
    return "no key" if key is None else f"key {shorten(spell_key(key), _TEXT_CHARS)}"
