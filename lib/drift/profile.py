"""The profile of a model's training data: bins of each feature, and of the scores. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.drift.bins import (
    KEY_BYTES,
    BinKind,
    Bins,
    Floats,
    divide_booleans,
    divide_numbers,
    divide_texts,
)
from lib.errors import ModelCorruptError
from lib.record.contract import Contract, Field, Kind
from lib.record.types import is_text

if TYPE_CHECKING:  # the workers of the stream do without pandas
    import pandas as pd

#: The name under which the scores stand among the features. No field of a record has it.
SCORE = "(score)"


@dataclass(frozen=True)
class Profile:
    """The bins of the training data.

    Attributes:
        rows: the number of rows.
        features: the bins of each feature, in the contract's order.
        score: the bins of the probabilities that the model gives rows that it has not learned.
    """

    rows: int
    features: tuple[Bins, ...]
    score: Bins

    @property
    def quantities(self) -> tuple[Bins, ...]:
        """All bins: the features', then the score's."""
        return (*self.features, self.score)

    def to_json(self) -> str:
        """Write the text of a version's ``profile.json``."""
        return json.dumps(self.to_dict(), allow_nan=False, ensure_ascii=False) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as JSON types, which :meth:`from_dict` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, text: str, place: str) -> Profile:
        """Read what :meth:`to_json` has written.

        Raises:
            ModelCorruptError: the text is nothing of that kind.
        """
        try:
            return cls.from_dict(json.loads(text))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelCorruptError(f"{place}: found no profile: {error}") from error

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Profile:
        """Read what :meth:`to_dict` returns.

        Raises:
            KeyError, TypeError, ValueError: the values are no profile.
        """
        features = tuple(map(_read_bins, values["features"]))
        return cls(int(values["rows"]), features, _read_bins(values["score"]))

    def make_key(self, model_version: str) -> bytes:
        """Make the bytes by which counted bins are known as those of this profile and model."""
        text = f"{model_version}\n{self.to_json()}"
        return hashlib.sha256(text.encode()).digest()[:KEY_BYTES]


@dataclass(frozen=True)
class Binning:
    """The way in which the records of a run are put into bins.

    Attributes:
        sample: one record of so many is put into bins.
        model_version: the model and the backend whose answers are meant; those of others are not
            put into bins.
        profile: the profile of that model; None where its version has none.
    """

    sample: int
    model_version: str
    profile: Profile | None


def build_profile(rows: pd.DataFrame, scores: Floats, contract: Contract) -> Profile:
    """Build the profile of the rows that a model was fitted to.

    Args:
        rows: the contract's features of n rows, in the form that a model gets.
        scores: the probability of each row by a model that has not learned it, float64 [n].
        contract: the contract of the rows.
    """
    features = tuple(_divide(rows[field.name], field) for field in contract.features)
    return Profile(len(scores), features, divide_numbers(SCORE, scores))


def _divide(column: pd.Series[Any], field: Field) -> Bins:
    if is_text(field):
        texts = [value if isinstance(value, str) else None for value in column]
        return divide_texts(field.name, texts, field.allowed)
    numbers = np.asarray(column, np.float64)
    if field.kind is Kind.BOOLEAN:
        return divide_booleans(field.name, numbers)
    return divide_numbers(field.name, numbers)


def _read_bins(values: Mapping[str, Any]) -> Bins:
    bins = Bins(
        str(values["name"]),
        BinKind(values["kind"]),
        tuple(map(float, values["edges"])),
        tuple(map(str, values["values"])),
        tuple(map(int, values["counts"])),
    )
    if not bins.size == len(bins.counts) <= 256:
        raise ValueError(f"{bins.name}: found {len(bins.counts)} counts of {bins.size} bins")
    return bins
