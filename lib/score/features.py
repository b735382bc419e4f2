"""Reads the features of callers: a record, records or a frame, maybe with numbers as text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lib.errors import ModelError
from lib.record.checks import check_value
from lib.record.contract import Contract, Field, Kind
from lib.record.types import is_float, is_text
from lib.record.violations import Rule


class FeaturesTypeError(TypeError, ValueError):
    """Features of a type that cannot be scored; a ValueError like all errors of features."""


class FeaturesValueError(ModelError, ValueError):
    """A value that the contract does not take."""

    remedy = "correct the value, or see the contract for what it may be"


Record = Mapping[str, Any]


def list_records(features: object) -> list[Record]:
    """List the records that a caller passes.

    Args:
        features: a dict (one record) or a list of dicts.

    Raises:
        FeaturesTypeError: the features have another type.
    """
    if isinstance(features, dict):
        return [features]
    if isinstance(features, list):
        for record in features:
            if not isinstance(record, dict):
                raise _unexpected(f"list of {type(record).__name__}")
        return features
    raise _unexpected(type(features).__name__)


def build_features(records: Sequence[Record]) -> pd.DataFrame:
    """Build a frame of records, whatever their values are."""
    try:
        return pd.DataFrame(records)
    except OverflowError:  # pandas makes floats of large integers
        return pd.DataFrame(records, dtype=object)


def build_typed_features(records: Sequence[Record], contract: Contract) -> pd.DataFrame:
    """Build the frame that a model gets of valid records: the contract's features in its order.

    Categories and texts are str or None, integers and booleans int64, numbers and what may be
    missing float64.
    """
    return pd.DataFrame(
        {
            field.name: pd.Series([it[field.name] for it in records], dtype=_find_type(field))
            for field in contract.features
        }
    )


def _find_type(field: Field) -> str:
    if is_text(field):
        return "object"
    return "float64" if is_float(field) else "int64"


class FeatureReader:
    """Reads the features of callers like the stream, by the checks of :mod:`lib.record.checks`.

    Numbers in the form of text become numbers, and what is missing becomes NaN or, in a text, None.
    The range of a number and the allowed texts are not checked here: a model may score any.

    Args:
        contract: the contract, which says which numbers may be text, what a blank means, and what
            may be missing.
    """

    def __init__(self, contract: Contract) -> None:
        self._fields = {field.name: field for field in contract.features}
        self._types = tuple((it.name, _find_record_types(it)) for it in contract.features)
        self._numbers = tuple(field.name for field in contract.numeric)
        self._booleans = [it for it in contract.features if it.kind is Kind.BOOLEAN]

    def takes(self, records: Iterable[Record]) -> bool:
        """Tell whether :meth:`read` would certainly change nothing; that is fast."""
        for record in records:
            for name, types in self._types:
                if type(record.get(name)) not in types:
                    return False
            for name in self._numbers:
                if not -math.inf < record[name] < math.inf:
                    return False
        return True

    def refuse_numbers(self, records: Iterable[Record]) -> None:
        """Refuse 1 and 0 for a boolean, which only a frame may hold, as a model gets it.

        Raises:
            FeaturesValueError: a record has a number for a boolean.
        """
        for row, record in enumerate(records):
            for field in self._booleans:
                value = record.get(field.name)
                is_number = isinstance(value, int | float | np.number)
                if is_number and not isinstance(value, bool) and value == value:
                    raise _refuse(f"a {type(value).__name__}", field, row)

    def read(self, features: pd.DataFrame) -> pd.DataFrame:
        """Read a frame; columns that the contract does not name are not changed.

        Returns:
            The same frame if nothing in it has to be read, else a copy.

        Raises:
            FeaturesValueError: a value has the wrong type, is no number, is infinite or no integer,
                or is missing where the contract does not allow that.
        """
        read: dict[str, Any] = {}
        for name, column in features.items():
            field = self._fields.get(name) if isinstance(name, str) else None
            if field is None:
                continue
            is_plain = isinstance(column.dtype, np.dtype) and column.dtype.kind in _NUMBERS
            if is_plain and not is_text(field):
                if column.dtype.kind == _FLOAT:
                    _check_floats(column.to_numpy(), field)
                continue
            values, plain = column.tolist(), _find_plain_types(field)
            if not {*map(type, values)} <= plain:
                read[field.name] = [
                    value if type(value) in plain else _read(value, field, row)
                    for row, value in enumerate(values)
                ]
        return features.assign(**read) if read else features


# numpy's kinds of integers and floating-point numbers.
_NUMBERS, _FLOAT = "iuf", "f"
_NONE = type(None)
_LARGE = 2**63


def _find_record_types(field: Field) -> frozenset[type]:
    """Find the types of a record's value that a model gets unchanged."""
    if field.is_numeric:
        return frozenset((int,) if field.kind is Kind.INTEGER else (int, float))
    return frozenset((bool,)) if field.kind is Kind.BOOLEAN else _find_plain_types(field)


def _find_plain_types(field: Field) -> frozenset[type]:
    """Find the types in a column of objects that are not changed."""
    if field.is_numeric:  # a number among objects stands beside something else
        return frozenset()
    if field.kind is Kind.BOOLEAN:  # a frame may hold the model's 1 and 0 already
        return frozenset((bool, int))
    return frozenset((str, _NONE) if field.nullable else (str,))


def _check_floats(values: npt.NDArray[np.floating[Any]], field: Field) -> None:
    """Raise FeaturesValueError for the first number that the field does not take."""
    fits = np.isfinite(values)
    if field.nullable:
        fits |= np.isnan(values)
    if field.kind is not Kind.NUMBER:
        fits &= (np.floor(values) == values) | np.isnan(values)
    if not fits.all():
        row = int(np.argmin(fits))
        _read(float(values[row]), field, row)


def _read(value: Any, field: Field, row: int) -> Any:
    """Read a value as the model gets it."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or value is pd.NA or value is pd.NaT or _is_nan(value):
        if not field.nullable:
            raise _refuse("nothing", field, row)
        return None if is_text(field) else math.nan
    if type(value) in (int, float) and not is_text(field):
        return _read_number(value, field, row)
    read, rule = check_value(value, field)
    if rule is None:
        return read
    if rule is Rule.WRONG_TYPE:
        is_numeric_text = isinstance(value, str) and field.is_numeric
        kind = "text that is no such number" if is_numeric_text else f"a {type(value).__name__}"
        raise _refuse(kind, field, row)
    return value if is_text(field) else _read_number(float(value), field, row)


def _read_number(value: float, field: Field, row: int) -> float:
    """Read a number, whose range is not checked."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise _refuse("infinity", field, row)
    if field.kind is not Kind.NUMBER and not number.is_integer():
        raise _refuse("a number with a fraction", field, row)
    return value if -_LARGE <= value < _LARGE else number


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def _refuse(found: str, field: Field, row: int) -> FeaturesValueError:
    return FeaturesValueError(
        f"{field.name} in row {row}: found {found}, expected {field.expected}"
    )


def _unexpected(found: str) -> FeaturesTypeError:
    return FeaturesTypeError(
        f"Invalid features type: {found}. Must be a dict, a list of dicts or a DataFrame"
    )
