"""Compares the probabilities of a model's backends, with each other and with those of its maker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib.errors import ModelMismatchError, ScoringError, SourceError, name_error
from lib.record.contract import Contract
from lib.score.admission.probe import build_score
from lib.score.base import ModelBackend
from lib.score.features import build_typed_features
from lib.score.scorer import Probabilities
from lib.tools.contract.checking import Checked, iter_checked

#: The largest difference of two probabilities that count as equal.
TOLERANCE = 1e-6
_PROBABILITY = "probability"


def score_rows(
    backend: ModelBackend, contract: Contract, rows: pd.DataFrame, what: str
) -> Probabilities:
    """Score rows of the contract: float64 [n_rows] in [0, 1].

    Args:
        backend: the loaded model.
        contract: the contract of the rows.
        rows: the contract's features in the form that a model gets.
        what: the name of the rows, for messages.

    Raises:
        ModelError: a row gets no probability.
    """
    try:
        return build_score(backend, contract)(rows)
    except ScoringError:
        raise
    except Exception as error:  # a model may raise anything
        raise ModelMismatchError(
            f"{backend.scored_by}: found no probability for {what}: {name_error(error)}",
            hint="name a model that scores what the contract allows",
        ) from error


def refuse_disagreement(
    backends: Mapping[str, ModelBackend], rows: pd.DataFrame, contract: Contract, what: str
) -> float:
    """Make sure that all backends give each row the same probability.

    Args:
        backends: backend → loaded model.
        rows: the contract's features in the form that a model gets.
        contract: the contract of the rows.
        what: the name of the rows, for messages.

    Returns:
        The largest difference.

    Raises:
        ModelMismatchError: two differ by more than :data:`TOLERANCE`; the error names them, the
            row and both probabilities.
    """
    first, *others = backends
    expected = score_rows(backends[first], contract, rows, what)
    largest = 0.0
    for name in others:
        found = score_rows(backends[name], contract, rows, what)
        differences = np.abs(found - expected)
        row = int(np.argmax(differences))
        if not differences[row] <= TOLERANCE:
            raise ModelMismatchError(
                f"{what}: row {row + 1}: found the probability {found[row]:.9f} by {name} and"
                f" {expected[row]:.9f} by {first}, expected at most {TOLERANCE:g} between them",
                hint="add the files of one model; or add them one after the other, as two versions",
            )
        largest = max(largest, float(differences[row]))
    return largest


def refuse_unexpected(backends: Mapping[str, ModelBackend], path: Path, contract: Contract) -> int:
    """Make sure that all backends give the records of a file their maker's probabilities.

    Args:
        backends: backend → loaded model.
        path: records with a column ``probability``, or one that is named as in predictions.
        contract: the contract of the records.

    Returns:
        The number of records.

    Raises:
        SourceError: the file cannot be read, has no such column or no record, or a record breaks
            the contract.
        ModelMismatchError: a probability differs by more than :data:`TOLERANCE`; the error names
            the first record and both numbers.
    """
    names = tuple(dict.fromkeys((_PROBABILITY, contract.output.probability)))
    records = list(_iter_expected(path, contract, names))
    if not records:
        raise SourceError(f"{path}: found no record", hint="name a file of records")
    rows = build_typed_features([it.decoded.features for it, _ in records], contract)
    expected = np.array([number for _, number in records])
    for name, backend in backends.items():
        found = score_rows(backend, contract, rows, str(path))
        differs = ~(np.abs(found - expected) <= TOLERANCE)
        if differs.any():
            row = int(np.argmax(differs))
            record = records[row][0]
            raise ModelMismatchError(
                f"{path}: {record.place} ({record.decoded.identifier}): found the probability"
                f" {found[row]:.9f} by {name}, expected {expected[row]:.9f}, as its maker says;"
                f" {int(differs.sum()):,} of {len(records):,} records differ",
                hint="compare the columns, their order and types, and the positive class with those"
                " of the maker",
            )
    return len(records)


def _iter_expected(
    path: Path, contract: Contract, names: tuple[str, ...]
) -> Iterator[tuple[Checked, float]]:
    for record in iter_checked(path, contract, names):
        if not record.decoded.is_valid:
            broken = ", ".join(
                f"{it.field or 'record'}: {it.rule}" for it in record.decoded.violations
            )
            raise SourceError(
                f"{path}: {record.place}: the contract {contract.name} refuses it ({broken})",
                hint="correct the record or the contract",
            )
        yield record, _read_probability(record.other, f"{path}: {record.place}", names)


def _read_probability(value: Any, place: str, names: tuple[str, ...]) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not 0 <= number <= 1:
        found = "nothing" if value is None else "a value that is no probability"
        raise SourceError(
            f"{place}: found {found} in the column {' or '.join(names)}, expected a number from 0"
            " to 1",
            hint="write the maker's probability of the positive label into it",
        )
    return number
