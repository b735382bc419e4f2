"""Lets a loaded model score records of the contract's own, before it gets a real one.

A model that cannot score would make a dead letter of every record. The designed records are the
stand-ins of the contract, and for each field in turn the stand-ins with one other value: each
allowed text, both ends of the range, the number of a blank, and a missing value where the contract
allows one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from lib.errors import ModelMismatchError, NoProbabilityError, name_error
from lib.record.contract import Contract, Field, Kind
from lib.score.admission.classes import find_positive
from lib.score.base import ModelBackend, refuse_missing_columns
from lib.score.features import build_typed_features
from lib.score.scorer import Probabilities
from lib.store import Probed

# Libraries that score with float32 give a record alone and in a batch values this close.
_TOLERANCE = 1e-6

Score = Callable[[pd.DataFrame], Probabilities]


@dataclass(frozen=True)
class Design:
    """Records that show whether a model takes what the contract allows.

    Attributes:
        rows: the contract's features in its order and in the form that a model gets.
        changes: the difference of each row from the stand-ins, as a phrase.
    """

    rows: pd.DataFrame
    changes: tuple[str, ...]


def probe(backend: ModelBackend, contract: Contract) -> Probed:
    """Let a loaded model score the designed records.

    Args:
        backend: the loaded backend.
        contract: the contract of the records that the model is going to get.

    Raises:
        ModelMismatchError: nobody has said which class is the positive one, or a record gets no
            probability in [0, 1], or one that depends on the order of the columns or on the other
            records of the batch.
    """
    columns, name = backend.list_columns(), backend.scored_by
    if backend.guesses_class:
        find_positive(None, contract, None, name)
    if columns is not None:
        refuse_missing_columns(contract.feature_names, columns, name)
    design = design_records(contract)
    score = build_score(backend, contract)
    if not backend.knows_columns:
        _refuse_positions(backend, score, design.rows)
    together = _score_all(score, design, contract, name)
    if not backend.is_native:
        _refuse_batches(score, design.rows, together, name)
    return Probed(name, len(design.rows))


def design_records(contract: Contract) -> Design:
    """Design the records of a probe."""
    stand_ins = {field.name: field.model_stand_in for field in contract.features}
    records, changes = [stand_ins], ["the stand-ins"]
    for field in contract.features:
        for value in _list_values(field):
            records.append({**stand_ins, field.name: value})
            changes.append(f"the stand-ins with {field.name} = {value!r}")
    return Design(build_typed_features(records, contract), tuple(changes))


def _list_values(field: Field) -> Iterator[str | float | None]:
    """List other values of a field than its stand-in."""
    if field.kind is Kind.CATEGORY:
        yield from (it for it in field.allowed if it != field.stand_in)
    elif field.kind is Kind.BOOLEAN:
        yield 1 - int(bool(field.stand_in))
    elif field.is_numeric:
        limits = (field.minimum, field.maximum, field.blank)
        numbers = {float(it) for it in limits if it is not None} - {field.model_stand_in}
        yield from sorted(numbers)
    if field.nullable:
        yield None


def build_score(backend: ModelBackend, contract: Contract) -> Score:
    """Build the function that scores typed rows with a loaded model, as the stream would.

    It raises ModelError if a row gets no probability, and whatever the model raises.
    """
    if backend.is_native:
        from lib.score.frames import score_typed

        return partial(score_typed, backend.with_probability, contract)
    return lambda rows: backend.predict(rows)[1]


def _score_all(score: Score, design: Design, contract: Contract, name: str) -> Probabilities:
    """Score all records, or raise ModelMismatchError, which names the first without a probability.

    Returns:
        The probabilities: float64 [n_rows] in [0, 1].
    """
    found = _try_to_score(score, design.rows)
    if not isinstance(found, str):
        return found
    first, last = 0, len(design.rows)
    while last - first > 1:
        middle = (first + last) // 2
        inner = _try_to_score(score, design.rows[first:middle])
        if isinstance(inner, str):
            last, found = middle, inner
        else:
            first = middle
    raise ModelMismatchError(
        f"{name}: found no probability for {design.changes[first]}, which contract {contract.name}"
        f" allows: {found}",
        hint="name a model that takes such records, or correct the contract",
    )


def _try_to_score(score: Score, rows: pd.DataFrame) -> Probabilities | str:
    """Score rows; return their probabilities, or why a row gets none."""
    try:
        found = score(rows)
    except Exception as error:  # noqa: BLE001 - a model may raise anything
        cause = error.__cause__ if isinstance(error, NoProbabilityError) else None
        return name_error(cause if isinstance(cause, Exception) else error)
    valid = (found >= 0) & (found <= 1)
    return found if valid.all() else f"the model gives {found[int(np.argmin(valid))]:g}"


def _refuse_batches(score: Score, rows: pd.DataFrame, together: Probabilities, name: str) -> None:
    """Raise ModelMismatchError if a record alone gets another probability than in the batch."""
    for row in (0, len(rows) - 1):
        alone = float(score(rows[row : row + 1])[0])
        if not abs(alone - together[row]) <= _TOLERANCE:
            raise ModelMismatchError(
                f"{name}: found the probability {alone:.6f} for a record alone and"
                f" {together[row]:.6f} for the same record among others, expected the same",
                hint="a step of the model computes something of the whole batch, such as its mean;"
                " let it learn that when it is fitted",
            )


def _refuse_positions(backend: ModelBackend, score: Score, rows: pd.DataFrame) -> None:
    """Raise ModelMismatchError if a model without names depends on the order of the columns.

    A model may also find its columns by name, although it does not list them.
    """
    is_same = False
    try:
        with warnings.catch_warnings(action="ignore"):
            found, expected = score(rows[rows.columns[::-1]]), score(rows)
        is_same = bool(np.allclose(found, expected, rtol=0, atol=_TOLERANCE))
    except Exception:  # noqa: BLE001 - a model may raise anything
        # An estimator of scikit-learn that knows how many columns it takes, but not which, takes a
        # matrix. The failure of another model is told by who scores the records next.
        if not isinstance(getattr(backend.model, "n_features_in_", None), int):
            return
    if not is_same:
        raise ModelMismatchError(
            f"{backend.scored_by}: found a model that takes its columns by their order and knows no"
            " names, expected the names",
            hint="name the columns that it was fitted on, in its order: --columns A,B,…, or"
            " load_model(columns=[…])",
        )
