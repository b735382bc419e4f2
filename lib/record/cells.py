"""Reads the cells of CSV files, which are text, as JSON values."""

from __future__ import annotations

import math
import re
import unicodedata

from lib.record.checks import NUMBER
from lib.record.contract import Field, Kind, Value

_DIGITS = re.compile(r"\s*[+-]?\d{1,1000}\s*", re.ASCII)
# Unicode's categories of spaces, and of characters that are not seen.
_ODD_SPACES = ("Zs", "Zl", "Zp", "Cf")

#: The texts of a boolean in CSV files and in text columns of Parquet files.
BOOLEANS = {"true": True, "false": False}


def read_cell(text: str, spec: Field) -> Value:
    """Read a cell as the JSON value that it stands for.

    Args:
        text: the text of the cell. Empty text is null, unless the contract gives blanks a meaning.
        spec: the field of the cell's column.

    Returns:
        A value of the field's JSON type if the text can be read as one, else the text itself, which
        the checks of the record refuse. A number beyond those of a float64 is such a text.
    """
    if not text and spec.blank is None:
        return None
    if spec.kind is Kind.BOOLEAN:
        return BOOLEANS.get(text, text)
    if not spec.is_numeric or NUMBER.fullmatch(text) is None:
        return text
    if spec.kind is Kind.INTEGER and _DIGITS.fullmatch(text):
        return int(text)  # by way of a float it would lose digits
    number = float(text)
    if not math.isfinite(number):
        return text  # JSON has no such number
    return int(number) if spec.kind is Kind.INTEGER and number.is_integer() else number


def find_odd_space(text: str) -> str | None:
    """Find a character that looks like a space, or like nothing, and is neither in ASCII.

    Returns:
        Its name like ``U+00A0``; None if there is none.
    """
    for character in text:
        if not character.isascii() and unicodedata.category(character) in _ODD_SPACES:
            return f"U+{ord(character):04X}"
    return None
