"""Parses the headers of a message from the text that Spark gives a Python worker. Pure.

Spark computes the size of an Arrow batch after each row. That takes no time for plain columns, but
fills the offsets of nested arrays again each time, so that a column of headers, even of nulls,
costs more than all others together: 10 of 13 microseconds a record with batches of 10,000. So
Spark's ``to_json`` makes text of headers; it writes binary values as base64 and leaves out nulls.
"""

from __future__ import annotations

import base64
import json

import pyarrow as pa

from lib.messages.columns import HEADERS_ARROW

Header = tuple[str, bytes | None]


def parse_headers(text: str | None) -> list[Header]:
    """Parse key and value of each header, in their order; none for null."""
    if text is None:
        return []
    return [(header["key"], _decode(header.get("value"))) for header in json.loads(text)]


def parse_header_column(texts: pa.Array) -> pa.Array:
    """Parse a column of headers: [n_rows] of :data:`HEADERS_ARROW`, null where the text is null."""
    if texts.null_count == len(texts):
        return pa.nulls(len(texts), HEADERS_ARROW)
    return pa.array(
        [None if text is None else parse_headers(text) for text in texts.to_pylist()],
        HEADERS_ARROW,
    )


def _decode(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value)
