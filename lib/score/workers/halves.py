"""Scores a batch, some rows of which make the model raise: only these get no probability.

It imports no pyspark, because each worker imports this module.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from lib.errors import ModelMismatchError, NoProbabilityError
from lib.score.scorer import Probabilities
from lib.score.workers.failure_text import describe_failure
from lib.score.workers.failures import NO_PROBABILITY, Failures, FailureTally

if TYPE_CHECKING:
    import pandas as pd

#: A function: rows → probability of class 1, float64 [n_rows]. It may raise any error.
Compute = Callable[["pd.DataFrame"], Probabilities]

Positions = npt.NDArray[np.int64]


class Rows(Protocol):
    """Rows of columns: a pandas frame, or :class:`ColumnRows`."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def take(self, indices: Any) -> Any:
        """Return the rows at these positions."""

    def items(self) -> Iterable[tuple[Any, Any]]:
        """Yield name and column; a column has ``tolist``."""


R = TypeVar("R", bound=Rows)


@dataclass(frozen=True)
class ColumnRows:
    """The rows of columns that have ``take`` and ``tolist``: decoded ones, or those of Arrow.

    Attributes:
        columns: name → column; at least one.
    """

    columns: Mapping[str, Any]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def take(self, indices: Any) -> ColumnRows:
        """See :meth:`Rows.take`."""
        return ColumnRows({name: column.take(indices) for name, column in self.items()})

    def items(self) -> Iterable[tuple[str, Any]]:
        """See :meth:`Rows.items`."""
        return self.columns.items()


@dataclass(frozen=True)
class Scores:
    """The scores of n rows.

    Attributes:
        probabilities: float64 [n] in [0, 1]; NaN for a row on which the model failed.
        failures: position of each row on which the model raised → the text of the exception,
            without contents of the row.
    """

    probabilities: Probabilities
    failures: Mapping[int, str] = field(default_factory=dict)


def score_batch(compute: Callable[[R], Probabilities], rows: R, tally: FailureTally) -> Scores:
    """Score a batch, some rows of which may make the model raise.

    Args:
        compute: the function of the model.
        rows: any number of rows.
        tally: counts rows and failures, and may stop the work.

    Raises:
        ModelFailingError: the model fails on nearly all rows.
    """
    if len(rows) == 0:
        return Scores(np.empty(0))
    result = _try(compute, rows)
    if isinstance(result, Exception):
        isolation = _Isolation(compute, rows, tally)
        isolation.run(result)
        tally.tell(isolation.reasons)
        return Scores(isolation.probabilities, isolation.failures)
    missing = _count_missing(result)
    tally.add(len(rows), missing)
    if missing:
        tally.tell(missing)
    return Scores(result)


def raise_row_error(
    compute: Callable[[R], Probabilities], rows: R, error: Exception, name: str
) -> NoReturn:
    """Raise NoProbabilityError for the first row on which a model raises, by about log2 n calls.

    Args:
        compute: the function of the model.
        rows: the rows, all of which together made it raise.
        error: the error that it has raised.
        name: the name of model and backend.
    """
    positions = np.arange(len(rows))
    while len(positions) > 1:
        half, rest = np.array_split(positions, 2)
        found = _try(compute, rows.take(half))
        positions = half if isinstance(found, Exception) else rest
        error = found if isinstance(found, Exception) else error
    row, count = rows.take(positions), len(rows)
    if count > 1 and isinstance(found := _try(compute, row), Exception):
        error = found
    text = describe_failure(error, _read_row(row))
    raise NoProbabilityError(
        f"{name}: the model failed on the row at position {positions[0]} of {count}: {text}"
    ) from error


def _read_row(row: Rows) -> list[Any]:
    """Return the values of rows of which there is one."""
    return [column.tolist()[0] for _, column in row.items()]


class _Isolation:
    """Halves a batch until the failing rows are single: k of n cost about k log2 n calls, not n.

    The rows are tried in a random order, which is the same for batches of the same size. So the
    first ones tell how many of all fail, although failing rows often stand together.
    """

    def __init__(self, compute: Callable[[Any], Probabilities], rows: Rows, tally: FailureTally):
        self._compute = compute
        self._rows = rows
        self._tally = tally
        self.probabilities: Probabilities = np.full(len(rows), np.nan)
        self.failures: dict[int, str] = {}
        self.reasons: Counter[str] = Counter()

    def run(self, error: Exception) -> None:
        """Score the rows, all of which together raised an error."""
        self._divide(np.random.default_rng(0).permutation(len(self._rows)), error)

    def _divide(self, positions: Positions, error: Exception) -> None:
        """Score rows that raised an error together."""
        if len(positions) == 1:
            text = describe_failure(error, _read_row(self._rows.take(positions)))
            self.failures[int(positions[0])] = text
            self._note(1, {text: 1})
            return
        for half in np.array_split(positions, 2):
            result = _try(self._compute, self._rows.take(half))
            if isinstance(result, Exception):
                self._divide(half, result)
            else:
                self.probabilities[half] = result
                self._note(len(half), _count_missing(result))

    def _note(self, tried: int, failures: Failures) -> None:
        self.reasons.update(failures)
        self._tally.add(tried, failures)


def _try(compute: Callable[[R], Probabilities], rows: R) -> Probabilities | Exception:
    """Return probabilities in [0, 1] or NaN, or the error that was raised."""
    try:
        found = np.asarray(compute(rows), dtype=np.float64)
        if found.shape != (len(rows),):
            raise ModelMismatchError(
                f"found probabilities of shape {found.shape}, expected {(len(rows),)}"
            )
    except Exception as error:  # noqa: BLE001 - a bad row is data, whatever the model raises on it
        return error
    with np.errstate(invalid="ignore"):
        valid = (found >= 0) & (found <= 1)
    return found if valid.all() else np.where(valid, found, np.nan)


def _count_missing(probabilities: Probabilities) -> Failures:
    missing = int(np.count_nonzero(np.isnan(probabilities)))
    return {NO_PROBABILITY: missing} if missing else {}
