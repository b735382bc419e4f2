"""Describes how much each field of a record adds to the score of a linear model.

Guarantee: the sum of all effects and the base are the log odds of the model, up to rounding. Both
encoders write the same reasons for a record: they round each effect to :data:`UNIT` before they
compare, and order equal ones as the contract does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from lib.errors import ModelCorruptError

#: Effects are written with four decimals, in these parts of one.
UNIT = 10_000
#: A larger effect is cut to this one, either way: e to the power of a thousandth of it is already
#: beyond all numbers.
MAX_EFFECT = 10**6

Value = str | int | float | None


@dataclass(frozen=True)
class FieldEffects:
    """The effect of one field in log odds: ``offset + slope · value``, and what the value adds.

    Attributes:
        name: the name of the field.
        offset: the effect of the value 0, or of a text that is not listed.
        slope: the change of the effect with the number; 0 for texts.
        missing: the effect of a missing value.
        additions: pairs of a value and what it adds to the line.
    """

    name: str
    offset: float
    slope: float = 0.0
    missing: float = 0.0
    additions: tuple[tuple[str | int, float], ...] = ()

    def find(self, value: Value) -> float:
        """Find the effect of a value."""
        if value is None or value != value:
            return self.missing
        number = 0.0 if isinstance(value, str) else float(value)
        return self.offset + self.slope * number + self._by_value.get(value, 0.0)

    @cached_property
    def _by_value(self) -> dict[Value, float]:
        return dict(self.additions)


@dataclass(frozen=True)
class Effects:
    """The effects of all fields, around the mean of the training data.

    Attributes:
        base: the log odds of a record that is the mean in every column of the model.
        fields: the effects of each field, in the contract's order.
    """

    base: float
    fields: tuple[FieldEffects, ...]

    def to_json(self) -> str:
        """Write the text of a version's ``effects.json``."""
        return json.dumps(asdict(self), allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, place: str) -> Effects:
        """Read what :meth:`to_json` has written.

        Raises:
            ModelCorruptError: the text is nothing of that kind.
        """
        try:
            values = json.loads(text)
            fields = [
                FieldEffects(**{**it, "additions": tuple(map(tuple, it["additions"]))})
                for it in values["fields"]
            ]
            return cls(float(values["base"]), tuple(fields))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelCorruptError(f"{place}: found no effects: {error}") from error


@dataclass(frozen=True)
class Reasons:
    """The reasons that each prediction carries.

    Attributes:
        effects: the effects of the model.
        count: the number of fields, those of the largest effect either way.
    """

    effects: Effects
    count: int


def round_effect(effect: float) -> int:
    """Round an effect to parts of :data:`UNIT`, halves up; it ends at :data:`MAX_EFFECT`."""
    return math.floor(max(-MAX_EFFECT, min(effect, MAX_EFFECT)) * UNIT + 0.5)


def format_effect(rounded: int) -> str:
    """Format a rounded effect as a JSON number: ``-0.8100``."""
    whole, part = divmod(abs(rounded), UNIT)
    return f"{'-' if rounded < 0 else ''}{whole}.{part:04d}"


def list_reasons(reasons: Reasons, values: Mapping[str, Value]) -> list[dict[str, Any]]:
    """List the reasons of one record; this is the reference of both encoders.

    Args:
        reasons: the effects, and how many fields are listed.
        values: field → value of the record, in the form that a model gets.

    Returns:
        The fields of the largest effect, with feature, value and effect, the largest first.
    """
    found = [
        (round_effect(it.find(values[it.name])), position, it.name)
        for position, it in enumerate(reasons.effects.fields)
    ]
    largest = sorted(found, key=lambda it: (-abs(it[0]), it[1]))[: reasons.count]
    return [
        {"feature": name, "value": values[name], "effect": effect / UNIT}
        for effect, _, name in largest
    ]


def add_up(effects: Effects, values: Mapping[str, Sequence[Value]]) -> list[float]:
    """Add up base and effects of records: log odds [n_rows]."""
    columns = [[it.find(value) for value in values[it.name]] for it in effects.fields]
    return [effects.base + sum(row) for row in zip(*columns, strict=True)]
