"""Records as the JSON values of Kafka messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from lib.record.contract import Contract
from lib.record.place import put


def iter_records(table: pd.DataFrame, contract: Contract) -> Iterator[dict[str, Any]]:
    """The rows of a table as JSON objects: identifier and features, without the label.

    Sources write numbers as they please: where the contract takes numeric text, every second
    record (by the table's index) has a number instead. Blank text stays text.

    Args:
        table: has the contract's columns, as a CSV file has them.
        contract: names the columns, and their places in the JSON object.
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
    """One record as compact UTF-8 JSON.

    Args:
        record: of plain JSON types.
        contract: says where the event time stands.
        event_time: ISO 8601; None leaves the record's own, if it has one.
    """
    stamped = dict(record)
    if event_time is not None and contract.event_time is not None:
        put(stamped, contract.event_time.place, event_time)
    return json.dumps(stamped, ensure_ascii=False, separators=(",", ":")).encode()
