"""Turns what a comparison has found into types of JSON. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from lib.tools.models.topics.answers import spell_moment
from lib.tools.models.topics.findings import PairedFindings, UnpairedFindings
from lib.tools.models.topics.outcomes import Outcomes
from lib.training.paired.estimate import Estimate, Share
from lib.training.paired.quality import Measured


def build_facts(value: Any) -> Any:
    """Return a value in types of JSON: of a dataclass its fields by name, and what follows of them.

    An error and an interval are null where too few subjects tell them.
    """
    match value:
        case Estimate():
            is_known = math.isfinite(value.error)
            return {
                "value": value.mean,
                "error": value.error if is_known else None,
                "interval": list(value.interval) if is_known else None,
            }
        case Share():
            return {
                "records": value.hits,
                "of": value.rows,
                "share": value.value,
                "interval": [value.low, value.high],
            }
        case Outcomes():
            return {"read": value.read, "left_out": value.left_out}
        case Measured():
            is_told_apart = value.difference.is_told_from_zero
            return {**_list_fields(value), "needed": value.needed, "is_told_apart": is_told_apart}
        case PairedFindings() | UnpairedFindings():
            return {"is_paired": isinstance(value, PairedFindings), **_list_fields(value)}
        case datetime():
            return spell_moment(value)
        case Mapping():
            return {_name(key): build_facts(it) for key, it in value.items()}
        case list() | tuple():
            return [build_facts(it) for it in value]
        case _:
            return _list_fields(value) if is_dataclass(value) else value


def _list_fields(value: Any) -> dict[str, Any]:
    return {it.name: build_facts(getattr(value, it.name)) for it in fields(value)}


def _name(key: Any) -> str:
    return " becomes ".join(key) if isinstance(key, tuple) else str(key)
