"""A second format, which only this module knows, needs no more than a row of the table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from lib.decode.engines.arrow import Category, decode_batch
from lib.decode.engines.python import decode_value
from lib.decode.formats import FORMATS
from lib.decode.formats.base import RefusedError, Row, RowParser, SparkReader
from lib.record.cells import read_cell
from lib.record.checks import check_value
from lib.record.contract import Contract
from lib.record.violations import Rule
from tests.support.records import VALID
from tests.support.telco import CUSTOMER

CSV_CUSTOMER = replace(CUSTOMER, format="csv")


class CsvFormat:
    """A format of comma-separated cells in the contract's order; no cell is null."""

    expected = "a line of CSV"

    @contextmanager
    def open(self, value: bytes) -> Iterator[Mapping[str, Any]]:
        cells = next(csv.reader(io.StringIO(value.decode())), [])
        if len(cells) != len(CSV_CUSTOMER.checked):
            raise RefusedError(Rule.NOT_OBJECT, value.decode(), self.expected)
        yield {
            spec.name: read_cell(cell, spec)
            for cell, spec in zip(cells, CSV_CUSTOMER.checked, strict=True)
        }

    def check_shown(self, record: Mapping[str, Any], value: bytes) -> None:
        pass

    def show(self, value: Any) -> str:
        return str(value)

    def build_row_parser(self, contract: Contract) -> RowParser:
        def parse(value: bytes | None) -> Row | None:
            try:
                with self.open(value or b"") as record:
                    read = [(record[spec.name], spec) for spec in contract.checked]
            except RefusedError:
                return None
            # A parser may judge in any way, but must refuse what a row must not hold.
            is_valid = not any(check_value(cell, spec)[1] for cell, spec in read)
            return tuple(cell for cell, _ in read) if is_valid else None

        return lambda values: [parse(value) for value in values.to_pylist()]

    def get_spark_reader(self) -> SparkReader:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "csv", CsvFormat())


def line(**changes: object) -> bytes:
    record = {**VALID, "event_ts": "", **changes}
    return ",".join(str(record[spec.name]) for spec in CSV_CUSTOMER.checked).encode()


VALUES = [
    line(),
    line(tenure=12, TotalCharges=" 6e2 ", event_ts="2026-01-02"),
    line(tenure=121, Contract="Weekly", TotalCharges="1_000"),
    line(gender=""),
    b"Female,1",
    None,
    b"x" * 70_000,
]
BROKEN = {
    2: [
        ("tenure", "out_of_range", "121"),
        ("Contract", "not_allowed", "Weekly"),
        ("TotalCharges", "wrong_type", "1_000"),
    ],
    3: [("gender", "missing", "nothing")],
    4: [("", "not_object", "Female,1")],
    5: [("", "null_value", "null")],
    6: [("", "too_large", "70000 bytes")],
}


def test_the_reference_reads_a_format_by_its_row_of_the_table() -> None:
    decoded = [decode_value(value, CSV_CUSTOMER) for value in VALUES]

    assert decoded[0].features == {name: VALID[name] for name in CUSTOMER.feature_names}
    assert (decoded[1].features["TotalCharges"], decoded[1].event_time) == (600.0, "2026-01-02")
    assert {
        position: [(it.field, str(it.rule), it.found) for it in each.violations]
        for position, each in enumerate(decoded)
        if not each.is_valid
    } == BROKEN


def test_batches_are_read_by_the_same_row() -> None:
    batch = decode_batch(pa.array(VALUES, pa.binary()), CSV_CUSTOMER)

    contract, total = batch.features["Contract"], batch.features["TotalCharges"]
    assert batch.valid.tolist() == [True, True, False, False, False, False, False]
    assert isinstance(contract, Category)
    assert contract.to_objects().tolist() == ["Month-to-month"] * 2
    assert not isinstance(total, Category)
    assert total.tolist() == [29.85, 600.0]
    assert {
        position: [(it.field, str(it.rule), it.found) for it in violations]
        for position, violations in batch.violations.items()
    } == BROKEN
