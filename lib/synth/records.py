"""Customers as the JSON values of Kafka messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from lib.contract import CUSTOMER, Contract


def iter_records(
    customers: pd.DataFrame, contract: Contract = CUSTOMER
) -> Iterator[dict[str, Any]]:
    """The rows as JSON objects: identifier and features, without the label.

    Sources write numbers as they please: where the contract takes numeric text, every second
    customer (by the frame's index) has a number instead. Blank text stays text.

    Args:
        customers: has the contract's columns, as :func:`lib.synth.make_customers` gives them.
        contract: names the columns.
    """
    names = [contract.identifier.name, *contract.feature_names]
    # tolist() turns numpy's numbers into Python's.
    columns = [customers[name].tolist() for name in names]
    texts = [field.name for field in contract.numeric if field.numeric_text]
    for position, values in zip(customers.index.tolist(), zip(*columns, strict=True), strict=True):
        record = dict(zip(names, values, strict=True))
        for name in texts:
            if position % 2 and str(record[name]).strip():
                record[name] = float(record[name])
        yield record


def encode_record(
    record: Mapping[str, Any], *, event_time: str | None = None, contract: Contract = CUSTOMER
) -> bytes:
    """One record as compact UTF-8 JSON.

    Args:
        record: of plain JSON types.
        event_time: ISO 8601; None leaves the record's own, if it has one.
        contract: names the field for the event time.
    """
    stamp = {} if event_time is None else {contract.event_time.name: event_time}
    return json.dumps({**record, **stamp}, ensure_ascii=False, separators=(",", ":")).encode()
