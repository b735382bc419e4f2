"""Encodes records as the JSON values of Kafka messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from lib.record.contract import Contract
from lib.record.place import put


def iter_records(table: pd.DataFrame, contract: Contract) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table as JSON objects with identifier and features, without the label.

    Real sources mix numbers and text: if the contract takes numeric text, every second record (by
    the table's index) has a number. Blank text stays text.

    Args:
        table: a table with the contract's columns, like a CSV file.
        contract: the contract, which names the columns and their places in the JSON object.
    """
    fields = [contract.identifier, *contract.features]
    # tolist() turns numpy's numbers into Python's.
    columns = [table[field.name].tolist() for field in fields]
    texts = [field for field in contract.numeric if field.numeric_text]
    for position, values in zip(table.index.tolist(), zip(*columns, strict=True), strict=True):
        record: dict[str, Any] = {}
        by_name = dict(zip((field.name for field in fields), values, strict=True))
        for field in texts:
            if position % 2 and str(by_name[field.name]).strip():
                by_name[field.name] = float(by_name[field.name])
        for field in fields:
            put(record, field.place, by_name[field.name])
        yield record


def encode_record(
    record: Mapping[str, Any], contract: Contract, *, event_time: str | None = None
) -> bytes:
    """Encode one record as compact UTF-8 JSON.

    Args:
        record: a record of plain JSON types.
        contract: the contract, which says where the event time is.
        event_time: the event time in ISO 8601; None keeps that of the record, if it has one.
    """
    stamped = dict(record)
    if event_time is not None and contract.event_time is not None:
        put(stamped, contract.event_time.place, event_time)
    return json.dumps(stamped, ensure_ascii=False, separators=(",", ":")).encode()
