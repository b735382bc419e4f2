"""Reads the cells of CSV files, which are text, as JSON values."""

from __future__ import annotations

from lib.record.checks import NUMBER
from lib.record.contract import Field, Kind, Value

#: The texts of a boolean in CSV files and in text columns of Parquet files.
BOOLEANS = {"true": True, "false": False}


def read_cell(text: str, spec: Field) -> Value:
    """Read a cell as the JSON value that it stands for.

    Args:
        text: the text of the cell. Empty text is null, unless the contract gives blanks a meaning.
        spec: the field of the cell's column.

    Returns:
        A value of the field's JSON type if the text can be read as one, else the text itself, which
        the checks of the record refuse.
    """
    if not text and spec.blank is None:
        return None
    if spec.kind is Kind.BOOLEAN:
        return BOOLEANS.get(text, text)
    if not spec.is_numeric or NUMBER.fullmatch(text) is None:
        return text
    number = float(text)
    return int(number) if spec.kind is Kind.INTEGER and number.is_integer() else number
