"""How a record becomes numbers: one design, derived from the contract, for both engines.

Every category value is an indicator column, so is every value of a number that the contract singles
out, and every number stands for itself too. A value that is not listed is all zeros: an unseen or
missing category raises in neither engine. Nothing here depends on data.
"""

from __future__ import annotations

from dataclasses import dataclass

from lib.errors import ModelError
from lib.record.contract import Contract, Field
from lib.record.types import is_text


@dataclass(frozen=True)
class Indicators:
    """A field and the values that get a column each: 1.0 where the record has it, else 0.0."""

    field: Field
    values: tuple[str, ...] | tuple[int, ...]


@dataclass(frozen=True)
class Encoding:
    """The columns of the design matrix, in this order.

    Attributes:
        indicators: categories in the contract's order, then what is singled out.
        numbers: numbers and booleans that are always there, taken as they are.
        nullable: numbers and booleans that may be missing: 0 where they are, and an indicator of
            that, 1.0 or 0.0, behind all of them.
    """

    indicators: tuple[Indicators, ...]
    numbers: tuple[Field, ...]
    nullable: tuple[Field, ...] = ()

    @property
    def width(self) -> int:
        """Columns of the design matrix."""
        indicators = sum(len(group.values) for group in self.indicators)
        return indicators + len(self.numbers) + 2 * len(self.nullable)


def build_encoding(contract: Contract) -> Encoding:
    """The encoding of a contract's features. Free text is left out: it says nothing by itself.

    Raises:
        ModelError: every feature is free text.
    """
    numbers = [field for field in contract.features if not is_text(field)]
    if not numbers and not contract.categorical:
        raise ModelError(
            f"{contract.name}: found no features but free text, expected a category or a number",
            hint="train a model that encodes text outside of this project",
        )
    categories = [Indicators(field, field.allowed) for field in contract.categorical]
    singled_out = [
        Indicators(field, field.singled_out) for field in contract.numeric if field.singled_out
    ]
    return Encoding(
        indicators=(*categories, *singled_out),
        numbers=tuple(field for field in numbers if not field.nullable),
        nullable=tuple(field for field in numbers if field.nullable),
    )
