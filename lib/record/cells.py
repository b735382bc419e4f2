"""Cells of CSV files as JSON values: a CSV file knows nothing but text."""

from __future__ import annotations

from lib.record.checks import NUMBER
from lib.record.contract import Field, Kind, Value

#: How a CSV file and a Parquet file's text write a boolean.
BOOLEANS = {"true": True, "false": False}


def read_cell(text: str, spec: Field) -> Value:
    """The JSON value that a cell stands for.

    Args:
        text: of the cell. An empty one is null, unless the contract says what a blank string means.
        spec: the field of the cell's column.

    Returns:
        A value of the field's JSON type where the text can be read as one, else the text itself:
        what the contract makes of it is decided where records are checked.
    """
    if not text and spec.blank is None:
        return None
    if spec.kind is Kind.BOOLEAN:
        return BOOLEANS.get(text, text)
    if not spec.is_numeric or NUMBER.fullmatch(text) is None:
        return text
    number = float(text)
    return int(number) if spec.kind is Kind.INTEGER and number.is_integer() else number
