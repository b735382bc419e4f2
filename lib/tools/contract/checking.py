"""Reads the records of a file, and checks each against a contract as the stream does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lib.decode.engines.python import Decoded, check_record, decode_value
from lib.errors import SourceError, first_line
from lib.record.cells import read_cell
from lib.record.contract import Contract, Field
from lib.record.place import put
from lib.record.tables import read_table

_TABLES = (".csv", ".parquet")
_HINT = "name a CSV or Parquet file with the contract's columns, or a file of JSON lines"


class Checked(NamedTuple):
    """A record of a file after its checks.

    Attributes:
        place: the place of the record in the file, such as ``row 3`` or ``line 3``.
        decoded: its violations, or its features.
        other: the value under the first of the names that were asked for; None if there is none.
    """

    place: str
    decoded: Decoded
    other: Any = None


def iter_checked(path: Path, contract: Contract, others: Sequence[str] = ()) -> Iterator[Checked]:
    """Check every record of a file.

    Args:
        path: a CSV or Parquet file with the contract's columns, or one JSON object a line.
        contract: the contract that the records have to keep.
        others: the names of columns, or of keys in each object, that the contract does not check.

    Raises:
        SourceError: the file cannot be read, or lacks all of the contract's columns.
    """
    if path.suffix in _TABLES:
        yield from _iter_table(path, contract, others)
        return
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    decoded = decode_value(line.rstrip(b"\r\n"), contract)
                    record = json.loads(line) if others and decoded.is_valid else {}
                    found = next((record[it] for it in others if it in record), None)
                    yield Checked(f"line {number}", decoded, found)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}", hint=_HINT) from error


def _iter_table(path: Path, contract: Contract, others: Sequence[str]) -> Iterator[Checked]:
    table = _read(path)
    fields = [spec for spec in contract.checked if spec.name in table]
    if not fields:
        raise SourceError(f"{path}: found no column of the contract {contract.name}", hint=_HINT)
    other = next((table[it] for it in others if it in table), None)
    rows = zip(*(table[spec.name] for spec in fields), strict=True)
    for number, values in enumerate(rows):
        record: dict[str, Any] = {}
        for spec, value in zip(fields, values, strict=True):
            put(record, spec.place, _as_json(value, spec))
        found = None if other is None else other[number]
        yield Checked(f"row {number + 1}", check_record(record, contract), found)


def _read(path: Path) -> Mapping[str, list[Any]]:
    try:
        return read_table(path)
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{path}: cannot be read: {first_line(str(error))}", hint=_HINT
        ) from error


def _as_json(value: Any, spec: Field) -> Any:
    return read_cell(value, spec) if isinstance(value, str) else value
