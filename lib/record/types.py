"""The types of a record's features in each engine."""

from __future__ import annotations

from lib.record.contract import Field, Kind


def is_float(field: Field) -> bool:
    """Tell whether a feature reaches the model as a floating-point number.

    Numbers do, and so do integers and booleans that may be missing, because NaN stands for that.
    """
    is_whole = field.kind in (Kind.INTEGER, Kind.BOOLEAN)
    return field.kind is Kind.NUMBER or (is_whole and field.nullable)


def is_text(field: Field) -> bool:
    """Tell whether a feature reaches the model as text, with None if it is missing."""
    return field.kind in (Kind.CATEGORY, Kind.TEXT, Kind.TIMESTAMP)


def find_spark_type(field: Field) -> str:
    """Return the type of a feature's column in Spark."""
    if is_text(field):
        return "string"
    return "double" if is_float(field) else "bigint"
