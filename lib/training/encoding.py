"""Derives the columns of the design matrix from the contract, for both engines.

Every value of a category is an indicator column, and so is every value of a number that the
contract singles out; every number is a column too. A value that is not listed is all zeros, so an
unseen or missing category raises in neither engine. Nothing here depends on data.
"""

from __future__ import annotations

from dataclasses import dataclass

from lib.errors import ModelError
from lib.record.contract import Contract, Field
from lib.record.types import is_text


@dataclass(frozen=True)
class Indicators:
    """A field and the values that get a column each: 1.0 if the record has the value, else 0."""

    field: Field
    values: tuple[str, ...] | tuple[int, ...]


@dataclass(frozen=True)
class Encoding:
    """The columns of the design matrix, in this order.

    Attributes:
        indicators: categories in the contract's order, then values of numbers.
        numbers: numbers and booleans that are never missing, without a change.
        nullable: numbers and booleans that may be missing, with 0 for a missing value, and behind
            all of them an indicator of it each, 1.0 or 0.0.
    """

    indicators: tuple[Indicators, ...]
    numbers: tuple[Field, ...]
    nullable: tuple[Field, ...] = ()

    @property
    def width(self) -> int:
        """The number of columns of the design matrix."""
        indicators = sum(len(group.values) for group in self.indicators)
        return indicators + len(self.numbers) + 2 * len(self.nullable)


def build_encoding(contract: Contract) -> Encoding:
    """Build the encoding of a contract's features, without free text.

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
