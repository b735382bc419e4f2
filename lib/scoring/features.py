"""Features as callers have them: a record, records, or a frame; numbers possibly as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lib.contract import CUSTOMER

_NUMERIC_TEXT = tuple(field for field in CUSTOMER.numeric if field.numeric_text)


class FeaturesTypeError(TypeError, ValueError):
    """Features of a type that cannot be scored; a ValueError like all that is wrong with them."""


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


def parse_numeric_text(features: pd.DataFrame) -> pd.DataFrame | None:
    """A copy with text in the contract's number-or-text fields read as numbers.

    A blank string stands for the field's ``blank``.

    Returns:
        None where there is no such text, or some of it is no number: then there is nothing to gain.
    """
    parsed: dict[str, Any] = {}
    for field in _NUMERIC_TEXT:
        if field.name not in features.columns:
            continue
        column = features[field.name]
        is_text = column.map(lambda value: isinstance(value, str))
        if not is_text.any():
            continue
        blank = is_text & (column.astype(str).str.strip() == "")
        try:
            parsed[field.name] = pd.to_numeric(column.mask(blank, field.blank))
        except (TypeError, ValueError):
            return None
    return features.assign(**parsed) if parsed else None


def _unexpected(found: str) -> FeaturesTypeError:
    return FeaturesTypeError(
        f"Invalid features type: {found}. Must be a dict, a list of dicts or a DataFrame"
    )
