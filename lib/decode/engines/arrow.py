"""Decodes batches of Kafka values in Python workers, with the results of ``python.py``, but faster.

The format's parser turns each value into the types of the contract, and columns are checked as a
whole. Values that pass are valid; all others are given to ``decode_value``, which says what is
wrong or finds them valid after all. So only one thing has to be right here: no value may pass that
the reference refuses or reads in another way. ``tests/decode/test_decode_batch.py`` compares both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import compress
from operator import and_
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.decode.engines.python import decode_value
from lib.decode.formats import find_format
from lib.decode.formats.base import ROW_CONDITIONS, Row
from lib.record.checks import NUMBER, Condition, anchor, find_limits
from lib.record.contract import Contract, Field, Kind
from lib.record.types import is_float, is_text
from lib.record.violations import Violation

Mask = npt.NDArray[np.bool_]

#: The code of a category that has no value.
MISSING = -1


@dataclass(frozen=True)
class Category:
    """A column of categories.

    Attributes:
        codes: int64 [n_rows], positions in ``allowed``; :data:`MISSING` for no value.
        allowed: the values.
    """

    codes: npt.NDArray[np.int64]
    allowed: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, indices: npt.NDArray[np.int64]) -> Category:
        """Return the rows at these positions."""
        return Category(self.codes.take(indices), self.allowed)

    def tolist(self) -> list[str | None]:
        """Return the values as a list."""
        values: list[str | None] = self.to_objects().tolist()
        return values

    def to_objects(self) -> npt.NDArray[np.object_]:
        """Return the values: str [n_rows], None for no value."""
        # The code of a missing value points to the last position.
        values: npt.NDArray[np.object_] = np.array([*self.allowed, None], dtype=object)[self.codes]
        return values


# Numbers and booleans are float64 with NaN for a missing value; texts are objects, None if missing.
Column = Category | npt.NDArray[np.int64] | npt.NDArray[np.float64] | npt.NDArray[np.object_]


@dataclass(frozen=True)
class DecodedBatch:
    """A decoded batch of n values, of which m are valid.

    Attributes:
        valid: whether each value is valid, bool [n].
        identifiers: the identifiers of the valid values, string [m].
        event_times: the event times of the valid values, string [m], null if missing.
        features: name → column [m].
        violations: position of each value that is not valid → its violations.
    """

    valid: Mask
    identifiers: pa.StringArray
    event_times: pa.StringArray
    features: Mapping[str, Column]
    violations: Mapping[int, tuple[Violation, ...]]


def decode_batch(values: pa.BinaryArray, contract: Contract) -> DecodedBatch:
    """Parse and check a batch of Kafka values.

    Args:
        values: the values of the messages; null for a tombstone.
        contract: the contract of the records.
    """
    decoder = _find_decoder(contract)
    rows = decoder.parse(values)
    checked = decoder.check(rows)
    valid, repaired = checked.valid, False
    violations = {}
    for position in np.flatnonzero(~valid).tolist():
        decoded = decode_value(values[position].as_py(), contract)
        if decoded.is_valid:
            features = [decoded.features[name] for name in contract.feature_names]
            times = () if contract.event_time is None else (decoded.event_time,)
            rows[position] = (decoded.identifier, *features, *times)
            valid[position] = repaired = True
        else:
            violations[position] = decoded.violations
    if repaired:  # some valid record differs from all others, which is rare
        rows = [row if keep else None for row, keep in zip(rows, valid.tolist(), strict=True)]
        checked = decoder.check(rows)
    return decoder.build(checked, valid, violations)


@lru_cache(maxsize=8)
def _find_decoder(contract: Contract) -> _Decoder:
    return _Decoder(contract)


class _Decoder:
    """The parts of decoding that depend only on the contract."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.parse = find_format(contract).build_row_parser(contract)
        self._limits = [
            [item for item in find_limits(spec).items() if item[0] not in ROW_CONDITIONS]
            for spec in contract.checked
        ]
        self._lookups = {
            spec.name: _number_values(spec).__getitem__ for spec in contract.categorical
        }

    def check(self, rows: list[Row | None]) -> _Checked:
        """Find the rows that are certainly valid, and their columns."""
        found = [row for row in rows if row is not None]
        columns: list[Sequence[Any]] = list(zip(*found, strict=True)) or [()] * len(
            self.contract.checked
        )
        passes = np.ones(len(found), dtype=np.bool_)
        typed: dict[str, Any] = {}
        for spec, limits, column in zip(self.contract.checked, self._limits, columns, strict=True):
            typed[spec.name] = read = _read_column(column, spec)
            if limits:
                passes &= _find_passing(read, limits, spec)
        if len(found) == len(rows):
            valid = passes.copy()
        else:
            valid = np.array([row is not None for row in rows], dtype=np.bool_)
            valid[valid] = passes
        return _Checked(valid, passes, typed)

    def build(
        self, checked: _Checked, valid: Mask, violations: Mapping[int, tuple[Violation, ...]]
    ) -> DecodedBatch:
        """Build the columns of the valid rows."""
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
        valid: whether each of all rows is certainly valid, bool [n].
        passes: whether each of the k rows that could be parsed is certainly valid, bool [k].
        columns: name → the k values: a sequence of str, float64 or an Arrow array of text.
    """

    valid: Mask
    passes: Mask
    columns: Mapping[str, Any]


def _number_values(spec: Field) -> dict[str | None, int]:
    """Map each value of a category to its position; None stands for a missing value."""
    return {None: MISSING, **{value: code for code, value in enumerate(spec.allowed)}}


def _read_column(column: Sequence[Any], spec: Field) -> Any:
    """Read categories unchanged, other texts for Arrow, and numbers as float64 with NaN if missing.

    Text that is no number is infinity.
    """
    if spec.kind is Kind.CATEGORY:
        return column
    if is_text(spec):
        return pa.array(column, pa.string())
    if spec.numeric_text and str in set(map(type, column)):
        column = [_read_number(value, spec) for value in column]
    return np.array(column, dtype=np.float64)


def _read_number(value: float | str | None, spec: Field) -> float | None:
    if not isinstance(value, str):
        return value
    if spec.blank is not None and not value.strip(" "):
        return spec.blank
    return float(value) if NUMBER.fullmatch(value) else np.inf


def _find_passing(column: Any, limits: Sequence[tuple[Condition, Any]], spec: Field) -> Mask:
    """Find the rows whose value keeps all conditions, or may be missing and is."""
    passes = reduce(and_, (_HOLDS[condition](column, limit) for condition, limit in limits))
    if not spec.nullable:
        return passes
    is_missing = (
        np.isnan(column) if isinstance(column, np.ndarray) else _as_mask(pc.is_null(column))
    )
    return passes | is_missing


def _as_mask(found: pa.BooleanArray) -> Mask:
    """Read an Arrow array as a mask; null is false."""
    mask: Mask = np.asarray(found.fill_null(False))
    return mask


def _matches(texts: pa.StringArray, pattern: str) -> Mask:
    try:
        return _as_mask(pc.match_substring_regex(texts, anchor(pattern)))
    except pa.ArrowInvalid:  # RE2 does not know all syntax
        return np.zeros(len(texts), dtype=np.bool_)


# The result is never true where the reference refuses. Missing values keep no condition.
_HOLDS: dict[Condition, Callable[[Any, Any], Mask]] = {
    Condition.IS_NUMBER: lambda numbers, _: np.isfinite(numbers),
    Condition.IS_SHORT: lambda texts, most: _as_mask(pc.less_equal(pc.utf8_length(texts), most)),
    Condition.MATCHES: _matches,
    Condition.IS_BETWEEN: lambda numbers, ends: (numbers >= ends[0]) & (numbers <= ends[1]),
    Condition.IS_WHOLE: lambda numbers, _: np.floor(numbers) == numbers,
}
