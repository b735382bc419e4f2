"""How the features of a record are held, by engine: one table of types."""

from __future__ import annotations

from lib.record.contract import Field, Kind


def is_float(field: Field) -> bool:
    """Whether a feature reaches the model as a floating-point number.

    Numbers do, and so do integers and booleans that may be missing: NaN stands for what is missing.
    """
    is_whole = field.kind in (Kind.INTEGER, Kind.BOOLEAN)
    return field.kind is Kind.NUMBER or (is_whole and field.nullable)


def is_text(field: Field) -> bool:
    """Whether a feature reaches the model as text, None where it is missing."""
    return field.kind in (Kind.CATEGORY, Kind.TEXT, Kind.TIMESTAMP)


def find_spark_type(field: Field) -> str:
    """The type of a feature's column in Spark."""
    if is_text(field):
        return "string"
    return "double" if is_float(field) else "bigint"
