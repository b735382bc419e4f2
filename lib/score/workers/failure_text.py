"""Describes the exception of a model without the contents of the record that made it raise. Pure.

Libraries quote what they were given: a category, a number, a whole row. A log and a dead letter may
say what went wrong, but not that.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lib.errors import ScoringError, first_line

#: It stands for what is left out.
HIDDEN = "…"
#: The longest text of a message, in characters.
MAX_CHARS = 200
# A value of so many characters is hidden within words too, a shorter one only as a word: every
# record has values like "No" or 1, which are parts of most sentences.
_LEAST_CHARS = 4

_WORD = r"[^\W_]"
# A quoted text, with the prefix of Python's bytes. An apostrophe within a word opens none; without
# its end the text is quoted as far as it goes.
_QUOTED = re.compile(rf"(?<!{_WORD})[bBuUrR]?(['\"`])(?:.*?\1(?!{_WORD})|.*\Z)", re.DOTALL)
# A number with a fraction or an exponent is seldom anything but contents, maybe rounded or scaled.
_FRACTION = re.compile(
    r"(?<!\d)[+-]?(?:\d+(?:\.\d*)?[eE][+-]?\d+|\d*(?:\.\d+)+(?:[eE][+-]?\d+)?)", re.ASCII
)
_INTEGER = re.compile(rf"(?<!{_WORD})\d+(?!{_WORD})")
_MISSING = {"None", "nan", "NaN", "NaT", "<NA>"}


def describe_failure(error: BaseException, row: Iterable[Any]) -> str:
    """Describe an exception in one line: its class and the first line of its message.

    Left out are the row's values, in any case of letters, all that stands in quotes, numbers with a
    fraction, and integers that a value of the row rounds to.

    Args:
        error: the exception.
        row: the values of the row on which it was raised.

    Returns:
        The class, and the message in at most :data:`MAX_CHARS` characters, with :data:`HIDDEN` for
        what is left out; the class alone if there is no message.
    """
    words = error.message if isinstance(error, ScoringError) else error
    kind, message = type(error).__name__, _read_text(words)
    if not message:
        return kind
    values = list(_iter_values(row))
    texts = sorted({text for value in values for text in _iter_texts(value)}, key=len, reverse=True)
    integers = {number for value in values for number in _iter_integers(value)}
    message = first_line(_hide(message, texts, integers))
    # A character that cannot be printed may have divided a value.
    message = "".join(it if it.isprintable() else " " for it in message).strip()
    message = _cut(_hide(message, texts, integers))
    return f"{kind}: {message}" if message else kind


def _hide(message: str, texts: Iterable[str], integers: set[str]) -> str:
    """Hide values until none is found: hiding one may make a word of what stood beside it."""
    previous = None
    while message != previous:
        previous, message = message, _hide_once(message, texts, integers)
    return message


def _hide_once(message: str, texts: Iterable[str], integers: set[str]) -> str:
    # A value that consists of punctuation may be a quote, and then would open or close one.
    message = _hide_values(message, (it for it in texts if any(map(str.isalnum, it))))
    message = _QUOTED.sub(HIDDEN, message)
    message = _hide_values(message, texts)
    message = _FRACTION.sub(HIDDEN, message)
    message = _INTEGER.sub(
        lambda it: HIDDEN if (it[0].lstrip("0") or "0") in integers else it[0], message
    )
    return re.sub(f"{HIDDEN}+", HIDDEN, message)


def _hide_values(message: str, texts: Iterable[str]) -> str:
    lowered = message.lower()
    # Few values occur, and a pattern of all of them would take longer than the model.
    found = [text for text in texts if text in message or text.lower() in lowered]
    if not found:
        return message
    return re.sub("|".join(map(_build_pattern, found)), HIDDEN, message, flags=re.IGNORECASE)


def _build_pattern(text: str) -> str:
    """Build the pattern of a value; a short one is no part of a word or number."""
    pattern = re.escape(text)
    if len(text) >= _LEAST_CHARS:
        return pattern
    before = rf"(?<!{_WORD})" if text[0].isalnum() else ""
    after = rf"(?!{_WORD})" if text[-1].isalnum() else ""
    return f"{before}{pattern}{after}"


def _cut(message: str) -> str:
    """Cut a message that is too long, at the end of a word."""
    if len(message) <= MAX_CHARS:
        return message
    end = MAX_CHARS - 1
    while end and message[end].isalnum() and message[end - 1].isalnum():
        end -= 1
    return message[:end] + HIDDEN


def _iter_values(row: Iterable[Any]) -> Iterator[Any]:
    """Yield the values, and those within lists and objects."""
    for value in row:
        yield value
        if isinstance(value, Mapping):
            yield from _iter_values([*value.keys(), *value.values()])
        elif isinstance(value, list | tuple | set | frozenset):
            yield from _iter_values(value)


def _iter_texts(value: Any) -> Iterator[str]:
    """Yield the forms in which a message may have a value, without its quotes."""
    if isinstance(value, float):
        return  # its digits are hidden in whatever form they have
    plain, quoted = _read_text(value), _read_text(value, form=repr)
    if plain in _MISSING and not isinstance(value, str):
        return
    forms = [plain, quoted]
    if isinstance(value, str | bytes):
        forms += [quoted[1:-1], quoted[2:-1], ascii(value)[1:-1]]
    if isinstance(value, str):
        forms.append(json.dumps(value)[1:-1])
    for form in forms:
        text = form.strip()
        # White space and what stands for hidden text say nothing.
        if text.strip(f" {HIDDEN}"):
            yield text


def _iter_integers(value: Any) -> Iterator[str]:
    """Yield the digits of the integers next to a number."""
    try:
        number = float(value)
        if math.isfinite(number):
            yield str(abs(math.floor(number)))
            yield str(abs(math.ceil(number)))
    except (TypeError, ValueError, OverflowError):
        return


def _read_text(value: Any, form: Any = str) -> str:
    """Return an object's text; empty if it has none."""
    try:
        return str(form(value))
    except Exception:  # noqa: BLE001 - the method is a library's own
        return ""
