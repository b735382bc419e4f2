"""Features as callers have them: a record, records, or a frame; numbers possibly as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lib.errors import ModelError
from lib.record.checks import check_value
from lib.record.contract import Contract, Field
from lib.record.violations import Rule


class FeaturesTypeError(TypeError, ValueError):
    """Features of a type that cannot be scored; a ValueError like all that is wrong with them."""


class FeaturesValueError(ModelError, ValueError):
    """A value that the contract does not take."""

    remedy = "correct the value, or see the contract for what it may be"


Record = Mapping[str, Any]


def list_records(features: object) -> list[Record]:
    """The records that a caller passes.

    Args:
        features: a dict (one record) or a list of dicts.

    Raises:
        FeaturesTypeError: it is anything else.
    """
    if isinstance(features, dict):
        return [features]
    if isinstance(features, list):
        for record in features:
            if not isinstance(record, dict):
                raise _unexpected(f"list of {type(record).__name__}")
        return features
    raise _unexpected(type(features).__name__)


def read_numeric_text(features: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The features with every number that comes as text read by the contract's rules.

    Args:
        features: any columns; those that the contract does not name stay as they are.
        contract: says which numbers may come as text, and what a blank means.

    Returns:
        The same frame where there is no such text, else a copy.

    Raises:
        FeaturesValueError: text that stands for no number, or where the contract takes none.
    """
    read: dict[str, Any] = {}
    for field in contract.numeric:
        if field.name not in features.columns or features[field.name].dtype != object:
            continue
        values = features[field.name].tolist()
        if any(isinstance(value, str) for value in values):
            read[field.name] = [_read(value, field, row) for row, value in enumerate(values)]
    return features.assign(**read) if read else features


def _read(value: Any, field: Field, row: int) -> Any:
    """A number for text, by the rules of :mod:`lib.record.checks`; anything else as it is."""
    if not isinstance(value, str):
        return value
    number, rule = check_value(value, field)
    if rule is Rule.WRONG_TYPE:
        raise FeaturesValueError(
            f"{field.name} in row {row}: found text that is no such number, expected"
            f" {field.expected}"
        )
    # Whether a number is in its range is for the stream to check: a model may score any.
    return float(value) if rule is not None else number


def _unexpected(found: str) -> FeaturesTypeError:
    return FeaturesTypeError(
        f"Invalid features type: {found}. Must be a dict, a list of dicts or a DataFrame"
    )
