"""Divides records into segments, by the score of a model or by their own fields. Pure.

A prediction holds no field of its record. The record is found again by what both have: key,
identifier and event time, for which a record without one has its Kafka timestamp.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np

from lib.decode.engines.python import decode_value
from lib.errors import SettingsError
from lib.record.contract import Contract, Kind
from lib.record.contract import Field as ContractField
from lib.record.prediction import LAST_MICROSECOND
from lib.tools.models.topics.agreement import Field
from lib.tools.models.topics.answers import Record, spell_moment
from lib.training.evaluation import Probabilities

#: The name of the segments by score.
SCORE = "score of A"
_MISSING = "(missing)"
_BANDS = 10
# A number with more values is divided into quarters of the records.
_MOST_VALUES = 12

Value = str | int | float | None


def divide_by_score(probabilities: Probabilities) -> Field:
    """Divide records by the tenth of [0, 1] in which the first model's probability lies."""
    codes = np.minimum((probabilities * _BANDS).astype(np.int64), _BANDS - 1)
    values = [f"{place / _BANDS:.1f} to {(place + 1) / _BANDS:.1f}" for place in range(_BANDS)]
    return Field(SCORE, values, codes)


def check_fields(names: Iterable[str], contract: Contract) -> None:
    """Make sure that records can be divided by the fields.

    Raises:
        SettingsError: the contract has no such feature, or it is free text.
    """
    usable = [field.name for field in contract.features if field.kind is not Kind.TEXT]
    for name in names:
        if name not in usable:
            raise SettingsError(
                f"--segments {name}: expected a field of the contract {contract.name} that is a"
                f" category, a boolean or a number: {', '.join(usable)}",
                hint="name one of these fields",
            )


def divide_by_field(values: Sequence[Value], known: Sequence[bool], field: ContractField) -> Field:
    """Divide records by a field of theirs.

    Args:
        values: the value of each record, in the form that a model gets; None for a missing one.
        known: whether the record was found.
        field: the field: a category, a boolean or a number.
    """
    present = [it for it in values if it is not None]
    if field.is_numeric and len(set(present)) > _MOST_VALUES:
        names, places = _divide_into_quarters(values, present)
    else:
        is_category = field.kind is Kind.CATEGORY
        kept = list(field.allowed) if is_category else sorted(set(present), key=float)
        names = [_spell(it, field) for it in kept]
        order = {it: place for place, it in enumerate(kept)}
        places = [len(kept) if it is None else order[it] for it in values]
    codes = [place if is_known else -1 for place, is_known in zip(places, known, strict=True)]
    return Field(field.name, [*names, _MISSING], np.array(codes, dtype=np.int64))


def _divide_into_quarters(
    values: Sequence[Value], present: Sequence[Any]
) -> tuple[list[str], list[int]]:
    cuts = np.unique(np.quantile(np.array(present, dtype=np.float64), (0, 0.25, 0.5, 0.75, 1)))
    names = [f"{low:g} to {high:g}" for low, high in pairwise(cuts)]
    inner = cuts[1:-1]
    places = [
        len(names) if it is None else int(np.searchsorted(inner, float(it), side="left"))
        for it in values
    ]
    return names, places


def _spell(value: Any, field: ContractField) -> str:
    if field.kind is Kind.BOOLEAN:
        return "true" if value else "false"
    return value if isinstance(value, str) else f"{value:g}"


class RecordJoin:
    """Finds the values of fields in the records for which predictions are wanted.

    Args:
        records: the parts that the wanted predictions share with their records.
        names: the names of the fields.
        contract: the contract of the records.
    """

    def __init__(self, records: Iterable[Record], names: Sequence[str], contract: Contract) -> None:
        self._missing = set(records)
        self._keys = {key for key, _, _ in self._missing}
        self._names = names
        self._contract = contract
        self.found: dict[Record, tuple[Value, ...] | None] = {}
        """Record → its values; None if several records with other values could be meant."""

    @property
    def is_complete(self) -> bool:
        """Whether each wanted record has been found."""
        return not self._missing

    def add(self, key: bytes | None, value: bytes | None, timestamp_ms: int) -> None:
        """Take a record of the input topic, if it is wanted."""
        if key not in self._keys:
            return
        decoded = decode_value(value, self._contract)
        if not decoded.is_valid or decoded.identifier is None:
            return
        time = decoded.event_time or _spell_timestamp(timestamp_ms)
        record = (key, decoded.identifier, time)
        values = tuple(decoded.features[name] for name in self._names)
        if record in self._missing:
            self._missing.discard(record)
            self.found[record] = values
        elif self.found.get(record, values) != values:
            self.found[record] = None


def _spell_timestamp(timestamp_ms: int) -> str | None:
    """Spell a Kafka timestamp as predictions do; None if it is no time."""
    if not 0 <= timestamp_ms <= LAST_MICROSECOND // 1000:
        return None
    return spell_moment(datetime.fromtimestamp(timestamp_ms / 1000, UTC))
