"""Writes text from anywhere for a terminal: nothing in it moves the cursor or hides. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

_CUT = "…"
_WIDE = frozenset("WF")


def escape(text: str) -> str:
    r"""Replace what does not print, such as ESC or a change of direction, by ``\x1b`` or the like.

    >>> escape("a\x1b[2Jb\u202e")
    'a\\x1b[2Jb\\u202e'
    """
    if text.isprintable():
        return text
    return "".join(it if it.isprintable() else _spell(it) for it in text)


def _spell(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shorten(text: str, most: int) -> str:
    """Escape a text, and cut it to so many characters.

    >>> shorten("abcdef", 4)
    'abc…'
    """
    # The cut comes first too: a text of megabytes is not escaped to show a line of it.
    text = escape(text[: most + 1])
    return text if len(text) <= most else f"{text[: most - 1]}{_CUT}"


def measure(text: str) -> int:
    """Return the number of columns that an escaped text takes on a terminal."""
    return sum(
        2 if unicodedata.east_asian_width(it) in _WIDE else unicodedata.combining(it) == 0
        for it in text
    )


def align(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> Iterator[str]:
    """Write rows of cells as lines with columns of equal width.

    Args:
        rows: the rows, each of the same number of cells; the first one holds the titles.
        left: the positions of the columns that are aligned on the left; the others are numbers.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
