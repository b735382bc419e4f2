"""Customers as they are to be sent, from a CSV file or made up. Pure Python."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from lib.codec.decode import NUMERIC_TEXT
from lib.contract import Contract, Field, Kind
from lib.errors import SourceError
from lib.synth import BLOCK_ROWS, encode_record, iter_customers, iter_records

SYNTHETIC = "synthetic"
DEFAULT_SYNTHETIC_COUNT = 10_000

_NUMBER = re.compile(NUMERIC_TEXT, re.ASCII)


class Customer(NamedTuple):
    """One customer.

    Attributes:
        key: the identifier.
        body: the JSON object of identifier and features, without an event time.
    """

    key: bytes
    body: bytes


def iter_source(
    source: str, count: int | None, seed: int, contract: Contract
) -> tuple[Iterator[Customer], int | None]:
    """Customers, and how many of them there will be.

    Args:
        source: "synthetic" or the path of a CSV file.
        count: how many; 0 for no end; None for each row of the file once, or for
            :data:`DEFAULT_SYNTHETIC_COUNT` synthetic ones. A file with fewer rows is read again
            from its start, so that its customers come several times.
        seed: of synthetic customers.
        contract: names the columns.

    Returns:
        The customers, one at a time, and their number; None where it is not known before the end.

    Raises:
        SourceError: the file is missing, has no rows or lacks columns.
    """
    if source == SYNTHETIC:
        wanted = DEFAULT_SYNTHETIC_COUNT if count is None else count
        customers = iter_synthetic(seed, contract)
    else:
        wanted = 0 if count is None else count
        customers = iter_csv(Path(source), contract, cycle=count is not None)
        first = next(customers, None)  # opens the file, so that what is wrong shows at once
        if first is None:
            raise SourceError(f"{source}: found no rows, expected customers", hint=_CSV_HINT)
        customers = _prepend(first, customers)
    if wanted:
        return islice(customers, wanted), wanted
    return customers, None


def iter_synthetic(seed: int, contract: Contract) -> Iterator[Customer]:
    """Synthetic customers without end; no identifier comes twice."""
    first = 0
    while True:
        for block in iter_customers(BLOCK_ROWS, seed, first=first):
            for record in iter_records(block, contract):
                yield _encode(record, contract)
        first += BLOCK_ROWS


def iter_csv(path: Path, contract: Contract, *, cycle: bool) -> Iterator[Customer]:
    """The rows of a CSV file, from its start again and again if ``cycle``.

    A number that is no number is sent as the text that stands there: what the contract makes of it
    is the job's business.

    Raises:
        SourceError: the file cannot be read or lacks columns; lists which.
    """
    specs = [contract.identifier, *contract.features]
    position = 0
    while True:
        start = position
        try:
            # utf-8-sig skips a byte order mark, which spreadsheets like to write.
            with path.open(newline="", encoding="utf-8-sig") as file:
                rows = csv.reader(file)
                columns = _find_columns(next(rows, []), specs, path)
                for position, row in enumerate(filter(None, rows), start + 1):
                    yield _encode(_read_row(row, columns, position), contract)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SourceError(f"--source {path}: {error}", hint=_CSV_HINT) from error
        if not cycle or position == start:
            return


_CSV_HINT = "name a CSV file with the contract's columns, or say --source synthetic"


# Name, position in the row, and the field where its text has to be read.
_Column = tuple[str, int, Field | None]


def _find_columns(header: list[str], specs: list[Field], path: Path) -> list[_Column]:
    missing = [spec.name for spec in specs if spec.name not in header]
    if missing:
        raise SourceError(f"{path}: found no column {', '.join(missing)}", hint=_CSV_HINT)
    return [
        (spec.name, header.index(spec.name), spec if spec.is_numeric else None) for spec in specs
    ]


def _read_row(row: list[str], columns: list[_Column], position: int) -> dict[str, Any]:
    """A record; a row that is too short lacks its last fields."""
    width = len(row)
    return {
        name: row[index] if spec is None else _read_cell(row[index], spec, position)
        for name, index, spec in columns
        if index < width
    }


def _read_cell(text: str, spec: Field, position: int) -> str | int | float:
    """The cell as JSON has it; where text may stand for a number, every second row has text."""
    if (spec.numeric_text and position % 2) or _NUMBER.fullmatch(text) is None:
        return text
    number = float(text)
    return int(number) if spec.kind is Kind.INTEGER and number.is_integer() else number


def _encode(record: dict[str, Any], contract: Contract) -> Customer:
    key = str(record.get(contract.identifier.name, "")).encode()
    return Customer(key, encode_record(record, contract=contract))


def _prepend(first: Customer, others: Iterator[Customer]) -> Iterator[Customer]:
    yield first
    yield from others
