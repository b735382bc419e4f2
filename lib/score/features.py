"""Reads the features of callers: a record, records or a frame, maybe with numbers as text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from lib.errors import ModelError
from lib.record.checks import check_value
from lib.record.contract import Contract, Field, Kind
from lib.record.types import is_text
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


def read_features(features: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Read the features like the stream, by the checks of :mod:`lib.record.checks`.

    Numbers in the form of text become numbers, and values of the wrong type are refused. The range
    of a number and the allowed texts are not checked here: a model may score any. Missing values
    are left to the model.

    Args:
        features: a frame; columns that the contract does not name are not changed.
        contract: the contract, which says which numbers may be text, and what a blank means.

    Returns:
        The same frame if there is no such text, else a copy.

    Raises:
        FeaturesValueError: a value has the wrong type, is no number, or is infinite.
    """
    fields = {field.name: field for field in contract.features}
    read: dict[str, Any] = {}
    for name, column in features.items():
        field = fields.get(name) if isinstance(name, str) else None
        if field is None:
            continue
        if column.dtype.kind in _NUMBERS and not is_text(field):
            infinite = np.flatnonzero(np.isinf(column.to_numpy()))
            if len(infinite):
                raise _refuse("infinity", field, int(infinite[0]))
            continue
        values, plain = column.tolist(), _PLAIN_TYPES[field.kind]
        if not {*map(type, values)} <= plain:
            read[field.name] = [
                value if type(value) in plain else _read(value, field, row)
                for row, value in enumerate(values)
            ]
    return features.assign(**read) if read else features


def are_numbers_plain(records: Iterable[Record], contract: Contract) -> bool:
    """Tell whether :func:`read_features` would not change any number or boolean of records."""
    return not any(
        any(type(record.get(field.name)) in (str, bool) for field in contract.numeric)
        or any(type(record.get(field.name)) is str for field in contract.boolean)
        for record in records
    )


# numpy's kinds of integers and floating-point numbers.
_NUMBERS = "iuf"
_NONE = type(None)
# A column of objects of these types is not changed. A boolean may be the model's 1 or 0 already.
_PLAIN_TYPES: dict[Kind, set[type]] = {
    **{kind: {str, _NONE} for kind in Kind},
    Kind.INTEGER: {int, _NONE},
    Kind.NUMBER: {int, _NONE},
    Kind.BOOLEAN: {bool, int, _NONE},
}


def _read(value: Any, field: Field, row: int) -> Any:
    """Read text as a number; return other values unchanged."""
    if not isinstance(value, str):
        value = value.item() if isinstance(value, np.generic) else value
        if value is pd.NA or value != value:
            return value
        if not is_text(field) and not isinstance(value, bool | list | dict):
            if value in (math.inf, -math.inf):
                raise _refuse("infinity", field, row)
            return value
    read, rule = check_value(value, field)
    if rule is None:
        return read
    if rule is Rule.WRONG_TYPE:
        is_numeric_text = isinstance(value, str) and field.is_numeric
        kind = "text that is no such number" if is_numeric_text else f"a {type(value).__name__}"
        raise _refuse(kind, field, row)
    return value if is_text(field) else _read(float(value), field, row)


def _refuse(found: str, field: Field, row: int) -> FeaturesValueError:
    return FeaturesValueError(
        f"{field.name} in row {row}: found {found}, expected {field.expected}"
    )


def _unexpected(found: str) -> FeaturesTypeError:
    return FeaturesTypeError(
        f"Invalid features type: {found}. Must be a dict, a list of dicts or a DataFrame"
    )
