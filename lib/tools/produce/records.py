"""Reads records from a CSV file, or makes synthetic ones. Pure."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from lib.errors import SourceError
from lib.record.cells import read_cell
from lib.record.contract import Contract, Field, Kind
from lib.record.place import look_up, put
from lib.synth import draw_records, encode_record

SYNTHETIC = "synthetic"
DEFAULT_SYNTHETIC_COUNT = 10_000


class KeyedRecord(NamedTuple):
    """A record with its key.

    Attributes:
        key: the identifier.
        body: the JSON object of identifier and features.
        keeps_time: whether the source has a column for the event time, so that the record has its
            own or none.
    """

    key: bytes
    body: bytes
    keeps_time: bool = False


def iter_source(
    source: str, count: int | None, seed: int, contract: Contract
) -> tuple[Iterator[KeyedRecord], int | None]:
    """Open the source of records.

    Args:
        source: "synthetic" or the path of a CSV file.
        count: the number of records; 0 for no end; None for each row of the file once, or for
            :data:`DEFAULT_SYNTHETIC_COUNT` synthetic ones. A file with fewer rows is read again
            from its start, so that its records come several times.
        seed: the seed of synthetic records.
        contract: the contract, which names the columns.

    Returns:
        An iterator over the records, and their number; None if it is not known before the end.

    Raises:
        SourceError: the file is missing, has no rows or lacks columns.
    """
    if source == SYNTHETIC:
        wanted = DEFAULT_SYNTHETIC_COUNT if count is None else count
        records = iter_synthetic(seed, contract)
    else:
        wanted = 0 if count is None else count
        records = iter_csv(Path(source), contract, cycle=count is not None)
        first = next(records, None)  # this opens the file, so errors show at once
        if first is None:
            raise SourceError(f"{source}: found no rows, expected records", hint=_CSV_HINT)
        records = _prepend(first, records)
    if wanted:
        return islice(records, wanted), wanted
    return records, None


def iter_synthetic(seed: int, contract: Contract) -> Iterator[KeyedRecord]:
    """Draw synthetic records from the contract, without end."""
    return (encode_keyed(record, contract) for record in draw_records(contract, seed))


def iter_csv(path: Path, contract: Contract, *, cycle: bool) -> Iterator[KeyedRecord]:
    """Yield the rows of a CSV file, again and again if ``cycle``.

    An event time is sent as it stands, and not sent from an empty cell. Text in the place of a
    number is sent as text, and the job decides what to do with it.

    Raises:
        SourceError: the file cannot be read or lacks columns; the error names them.
    """
    specs = [contract.identifier, *contract.features]
    time = contract.event_time
    position = 0
    while True:
        start = position
        try:
            # utf-8-sig skips a byte order mark, which spreadsheets like to write.
            with path.open(newline="", encoding="utf-8-sig") as file:
                rows = csv.reader(file)
                header = next(rows, [])
                columns = _find_columns(header, specs, path)
                keeps_time = time is not None and time.name in header
                if time is not None and keeps_time:
                    columns += _find_columns(header, [time], path)
                for position, row in enumerate(filter(None, rows), start + 1):
                    keyed = encode_keyed(_read_row(row, columns, position), contract)
                    yield keyed._replace(keeps_time=keeps_time)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SourceError(f"--source {path}: {error}", hint=_CSV_HINT) from error
        if not cycle or position == start:
            return


_CSV_HINT = "name a CSV file with the contract's columns, or say --source synthetic"


# The position in the row, and the field of the column.
_Column = tuple[int, Field]


def _find_columns(header: list[str], specs: list[Field], path: Path) -> list[_Column]:
    missing = [spec.name for spec in specs if spec.name not in header]
    if missing:
        raise SourceError(f"{path}: found no column {', '.join(missing)}", hint=_CSV_HINT)
    return [(header.index(spec.name), spec) for spec in specs]


def _read_row(row: list[str], columns: list[_Column], position: int) -> dict[str, Any]:
    """Read a row as a record; the last fields are missing if the row is too short.

    If the contract takes text for a number, every second row has text.
    """
    record: dict[str, Any] = {}
    for index, spec in columns:
        if index < len(row):
            is_text = spec.numeric_text and position % 2
            value = row[index] if is_text else read_cell(row[index], spec)
            if value is not None or spec.kind is not Kind.TIMESTAMP:
                put(record, spec.place, value)
    return record


def encode_keyed(record: dict[str, Any], contract: Contract) -> KeyedRecord:
    """Encode a record, with its identifier as the key."""
    found, is_reached = look_up(record, contract.identifier.place)
    key = str(found).encode() if is_reached and found is not None else b""
    return KeyedRecord(key, encode_record(record, contract))


def _prepend(first: KeyedRecord, others: Iterator[KeyedRecord]) -> Iterator[KeyedRecord]:
    yield first
    yield from others
