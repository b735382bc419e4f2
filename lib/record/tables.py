"""Reads CSV and Parquet files as columns of Python values."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Columns = dict[str, list[Any]]


def read_table(path: Path) -> Columns:
    """Read a table as column → values.

    Args:
        path: a CSV file, whose cells are all text, or a Parquet file, whose values are those that a
            producer would send as JSON: numbers, booleans, texts, ISO 8601 for times.

    Raises:
        OSError, ValueError: the file cannot be read.
    """
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        return {
            name: [_as_json(value) for value in table[name].to_pylist()]
            for name in table.column_names
        }
    frame = read_csv(path)
    return {str(name): frame[name].tolist() for name in frame.columns}


def read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV file as a frame of text, so that checks see the text of its cells.

    Raises:
        OSError, ValueError: the file cannot be read.
    """
    import pandas as pd

    # utf-8-sig skips a byte order mark.
    return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")


def _as_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        moment = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
        return moment.isoformat(timespec="milliseconds") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    return value.decode(errors="replace") if isinstance(value, bytes) else value
