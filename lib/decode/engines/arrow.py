"""Many Kafka values at once, for Python workers: the verdicts of ``python.py``, much faster.

msgspec parses each value into the types of the contract, and columns are checked as a whole. What
passes is valid; whatever does not pass, for whatever reason, is left to ``decode_value``, which
says what is wrong or finds it valid after all. So only one thing has to be right here: nothing may
pass that the reference refuses or reads in another way. ``tests/decode/test_decode_batch.py`` holds
the two together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.decode.engines.python import MAX_NAME_CHARS, decode_value
from lib.decode.formats.json import RecordParser, Row, build_parser
from lib.record.checks import NUMBER
from lib.record.contract import Contract, Field, Kind
from lib.record.types import is_float, is_text
from lib.record.violations import Violation

Values = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

# Shorter values cannot exceed the reference's limits of depth and digits.
_PLAIN_BYTES = 1_000
_PLAIN_BRACKETS = 200
_LONG_NUMBER = re.compile(rb"[0-9.eE+-]{1000}")


#: The code of a category that has no value.
MISSING = -1


@dataclass(frozen=True)
class Category:
    """A column of categories.

    Attributes:
        codes: int64 [n_rows], positions in ``allowed``; :data:`MISSING` where there is no value.
        allowed: the values.
    """

    codes: npt.NDArray[np.int64]
    allowed: tuple[str, ...]

    def to_objects(self) -> npt.NDArray[np.object_]:
        """The values: str [n_rows], None where there is none."""
        # The code of what is missing is the last position.
        values: npt.NDArray[np.object_] = np.array([*self.allowed, None], dtype=object)[self.codes]
        return values


# Numbers, booleans as 0 and 1, NaN for what is missing; texts as objects, None for what is missing.
Column = Category | npt.NDArray[np.int64] | npt.NDArray[np.float64] | npt.NDArray[np.object_]


@dataclass(frozen=True)
class DecodedBatch:
    """What has become of a batch of n values, of which m are valid.

    Attributes:
        valid: bool [n].
        identifiers: string [m], of the valid ones.
        event_times: string [m], null where missing.
        features: name → column [m].
        violations: position → what is wrong there; of all that are not valid.
    """

    valid: Mask
    identifiers: pa.StringArray
    event_times: pa.StringArray
    features: Mapping[str, Column]
    violations: Mapping[int, tuple[Violation, ...]]


def decode_batch(values: pa.BinaryArray, contract: Contract) -> DecodedBatch:
    """Parse and check a batch of Kafka values.

    Args:
        values: as they came; null for a tombstone.
        contract: what a record has to look like.
    """
    decoder = _find_decoder(contract)
    texts = values.to_pylist()
    rows = _parse(texts, decoder.parser, contract.max_bytes, is_utf8=_is_utf8(values))
    checked = decoder.check(rows)
    valid, repaired = checked.valid, False
    violations = {}
    for position in np.flatnonzero(~valid).tolist():
        decoded = decode_value(texts[position], contract)
        if decoded.is_valid:
            features = [decoded.features[name] for name in contract.feature_names]
            times = () if contract.event_time is None else (decoded.event_time,)
            rows[position] = (decoded.identifier, *features, *times)
            valid[position] = repaired = True
        else:
            violations[position] = decoded.violations
    if repaired:  # seldom: some valid record looks unlike all others
        rows = [row if keep else None for row, keep in zip(rows, valid.tolist(), strict=True)]
        checked = decoder.check(rows)
    return decoder.build(checked, valid, violations)


def _is_utf8(values: pa.BinaryArray) -> bool:
    try:
        values.cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _parse(
    values: Sequence[bytes | None],
    parser: RecordParser,
    max_bytes: int,
    *,
    is_utf8: bool,
) -> list[Row | None]:
    """A row for each value that has the contract's types; None for any other."""
    rows: list[Row | None] = []
    parse, to_row = parser.parse, parser.to_row
    for value in values:
        try:
            if value is None or (len(value) > _PLAIN_BYTES and not _is_plain(value, max_bytes)):
                rows.append(None)
                continue
            if not is_utf8:
                value.decode()
            rows.append(to_row(parse(value)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            rows.append(None)
    return rows


def _is_plain(value: bytes, max_bytes: int) -> bool:
    """Whether a long value keeps to the reference's limits for sure."""
    return (
        len(value) <= min(max_bytes, MAX_NAME_CHARS)
        and value.count(b"[") + value.count(b"{") <= _PLAIN_BRACKETS
        and _LONG_NUMBER.search(value) is None
    )


@lru_cache(maxsize=8)
def _find_decoder(contract: Contract) -> _Decoder:
    return _Decoder(contract)


class _Decoder:
    """What of decoding depends on the contract alone."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.parser = build_parser(contract)
        self._lookups = {
            spec.name: _number_values(spec).__getitem__ for spec in contract.categorical
        }

    def check(self, rows: list[Row | None]) -> _Checked:
        """Which rows are valid for sure, and their columns."""
        found = [row for row in rows if row is not None]
        columns: list[Sequence[Any]] = list(zip(*found, strict=True)) or [()] * len(
            self.contract.checked
        )
        passes = np.ones(len(found), dtype=np.bool_)
        typed: dict[str, Any] = {}
        for spec, column in zip(self.contract.checked, columns, strict=True):
            if spec.kind is Kind.CATEGORY:
                typed[spec.name] = column
            elif spec.kind is Kind.BOOLEAN:
                typed[spec.name] = np.array(column, dtype=np.float64)
            elif spec.is_numeric:
                numbers = _read_numbers(column, spec)
                passes &= _is_in_range(numbers, spec)
                typed[spec.name] = numbers
            else:
                texts = pa.array(column, pa.string())
                passes &= _matches(texts, spec)
                typed[spec.name] = texts
        if len(found) == len(rows):
            valid = passes.copy()
        else:
            valid = np.array([row is not None for row in rows], dtype=np.bool_)
            valid[valid] = passes
        return _Checked(valid, passes, typed)

    def build(
        self, checked: _Checked, valid: Mask, violations: Mapping[int, tuple[Violation, ...]]
    ) -> DecodedBatch:
        """The columns of the valid rows."""
        passes, columns = checked.passes, checked.columns
        keep = None if passes.all() else passes

        def pick_texts(spec: Field) -> pa.StringArray:
            texts = columns[spec.name]
            return texts if keep is None else texts.filter(pa.array(keep))

        return DecodedBatch(
            valid=valid,
            identifiers=pick_texts(self.contract.identifier),
            event_times=pa.nulls(int(passes.sum()), pa.string())
            if self.contract.event_time is None
            else pick_texts(self.contract.event_time),
            features={
                spec.name: self._build_column(spec, columns[spec.name], keep)
                for spec in self.contract.features
            },
            violations=violations,
        )

    def _build_column(self, spec: Field, column: Any, keep: Mask | None) -> Column:
        if spec.kind is Kind.CATEGORY:
            values = column if keep is None else list(compress(column, keep.tolist()))
            codes = np.fromiter(map(self._lookups[spec.name], values), np.int64, len(values))
            return Category(codes, spec.allowed)
        if is_text(spec):
            texts = column if keep is None else column.filter(pa.array(keep))
            return np.array(texts.to_pylist(), dtype=object)
        numbers: npt.NDArray[np.float64] = column if keep is None else column[keep]
        return numbers if is_float(spec) else numbers.astype(np.int64)


@dataclass(frozen=True)
class _Checked:
    """Parsed rows by column.

    Attributes:
        valid: bool [n]: which of all rows are valid for sure.
        passes: bool [k]: the same, of the k rows that could be parsed.
        columns: name → the k values: a sequence of str, float64 or an Arrow array of text.
    """

    valid: Mask
    passes: Mask
    columns: Mapping[str, Any]


def _number_values(spec: Field) -> dict[str | None, int]:
    """Value of a category → its position; None is what is missing."""
    return {None: MISSING, **{value: code for code, value in enumerate(spec.allowed)}}


def _read_numbers(column: Sequence[Any], spec: Field) -> npt.NDArray[np.float64]:
    """NaN for what is missing, infinity for text that is left to the reference."""
    if spec.numeric_text and str in set(map(type, column)):
        column = [_read_number(value, spec) for value in column]
    return np.array(column, dtype=np.float64)


def _read_number(value: float | str | None, spec: Field) -> float | None:
    if not isinstance(value, str):
        return value
    if spec.blank is not None and not value.strip(" "):
        return spec.blank
    return float(value) if NUMBER.fullmatch(value) else np.inf


def _is_in_range(numbers: npt.NDArray[np.float64], spec: Field) -> Mask:
    low, high = spec.range
    passes: Mask = (numbers >= low) & (numbers <= high)
    if spec.kind is Kind.INTEGER:
        passes &= np.floor(numbers) == numbers
    # No JSON number is NaN: it is what is missing.
    return passes | np.isnan(numbers) if spec.nullable else passes


def _matches(texts: pa.StringArray, spec: Field) -> Mask:
    """Whether each text is short enough and matches the pattern; a missing one does, where it may.

    Never true where the reference says otherwise; false for all where it cannot be told.
    """
    mask = pc.is_valid(texts)
    if spec.max_chars is not None:
        mask = pc.and_(mask, pc.less_equal(pc.utf8_length(texts), spec.max_chars))
    if spec.pattern is not None:
        try:
            found = pc.match_substring_regex(texts, rf"\A(?:{spec.pattern})\z")
        except pa.ArrowInvalid:  # not RE2's syntax
            return np.zeros(len(texts), dtype=np.bool_)
        mask = pc.and_(mask, found)
    if spec.nullable:
        mask = pc.or_(pc.is_null(texts), mask.fill_null(False))
    matched: Mask = np.asarray(mask.fill_null(False))
    return matched
