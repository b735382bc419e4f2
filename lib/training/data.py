"""Reads training data, checks them against the contract, and types them.

A bad row ends the training; no row is dropped or repaired silently. Messages name fields, line
numbers and counts, never values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lib.errors import SettingsError, SourceError, first_line
from lib.record.cells import find_odd_space, read_cell
from lib.record.checks import check_value
from lib.record.contract import Contract, Field
from lib.record.tables import read_csv
from lib.record.types import is_float, is_text
from lib.synth.telco import make_customers as make_table

# The number of places, and of fields, that a message names.
_MAX_NAMED = 5
_HINT = "correct or remove these rows"

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TrainingData:
    """The rows to learn from.

    Attributes:
        features: the contract's features in its order: categories and texts as str, integers and
            booleans as int64, numbers as float64. A missing value is None in texts and NaN in
            numbers; integers and booleans that may be missing are float64.
        labels: the labels, int64 [n_rows]: 1 for the positive label, else 0.
        origin: the source of the rows, for the model's metadata.
    """

    features: pd.DataFrame
    labels: npt.NDArray[np.int64]
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.labels)

    def select(self, mask: Mask) -> TrainingData:
        """Return the rows where the mask, bool [n_rows], is true."""
        return replace(self, features=self.features[mask], labels=self.labels[mask])


def read_training_data(path: Path, contract: Contract) -> TrainingData:
    """Read a CSV file with the contract's features and its label; other columns are ignored.

    Raises:
        SettingsError: there is no such file.
        SourceError: the file cannot be read, lacks a column, or has rows that the contract rejects.
    """
    try:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        table = read_csv(path)
    except FileNotFoundError as error:
        raise SettingsError(
            f"--data {path}: no such file", hint="name a CSV file, or say --data synthetic"
        ) from error
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise SourceError(
            f"{path}: cannot be read as CSV: {first_line(str(error))}",
            hint="name a CSV file in UTF-8",
        ) from error
    origin = {"source": "csv", "file": path.name, "sha256": sha256}
    return clean_table(table, contract, place=str(path), origin=origin)


def make_training_data(rows: int, seed: int, contract: Contract) -> TrainingData:
    """Make calibrated synthetic records, which are checked like other rows.

    Raises:
        SettingsError: the contract is of another domain.
    """
    table = make_table(rows, seed).astype(str)
    if not {*contract.feature_names, contract.label.name} <= {*table.columns}:
        raise SettingsError(
            f"--data synthetic: there are no synthetic training data for the contract"
            f" {contract.name}",
            hint="name a CSV file with --data FILE",
        )
    origin = {"source": "synthetic"}
    return clean_table(table, contract, place="synthetic data", origin=origin)


def clean_table(
    table: pd.DataFrame, contract: Contract, *, place: str, origin: Mapping[str, Any]
) -> TrainingData:
    """Check and type a table of text.

    Args:
        table: a table with all columns as str; its first row is line 2 of ``place``.
        contract: the contract of the rows.
        place: the name of the file, for messages.
        origin: see :class:`TrainingData`.

    Raises:
        SourceError: a column is missing, the table is empty, or rows are not valid.
    """
    wanted = [*contract.features, replace(contract.label, nullable=False)]
    missing = [spec.name for spec in wanted if spec.name not in table.columns]
    if missing:
        raise SourceError(
            f"{place}: found no column {', '.join(missing)}, expected all features and the label",
            hint="the first line has to name the columns; see docs/contract.md",
        )
    if table.empty:
        raise SourceError(f"{place}: found no rows, expected records", hint="name another file")
    typed = {spec.name: _read_column(table[spec.name], spec) for spec in wanted}
    problems = list(_list_problems(table, typed, contract))
    if problems:
        more = f"; and {len(problems) - _MAX_NAMED} more" if len(problems) > _MAX_NAMED else ""
        raise SourceError(f"{place}: {'; '.join(problems[:_MAX_NAMED])}{more}", hint=_HINT)
    features = pd.DataFrame({name: typed[name][0] for name in contract.feature_names})
    positive = typed[contract.label.name][0] == contract.positive_label
    return TrainingData(features, np.asarray(positive, dtype=np.int64), origin)


def _list_problems(
    table: pd.DataFrame, typed: Mapping[str, tuple[pd.Series[Any], Mask]], contract: Contract
) -> Iterator[str]:
    for spec in (*contract.features, contract.label):
        invalid = np.flatnonzero(~typed[spec.name][1])
        if len(invalid):
            # The header is line 1. A quoted line break in a field would shift the numbers.
            lines = ", ".join(str(row + 2) for row in invalid[:_MAX_NAMED])
            dots = ", …" if len(invalid) > _MAX_NAMED else ""
            count = "1 row" if len(invalid) == 1 else f"{len(invalid)} rows"
            cells = table[spec.name].iloc[invalid[:_MAX_NAMED]]
            odd = next(filter(None, map(find_odd_space, cells)), None)
            space = f"; it holds {odd}, which looks like a space or like nothing" if odd else ""
            yield f"{spec.name} in {count} (line {lines}{dots}) is not {spec.expected}{space}"


def _read_column(text: pd.Series[Any], spec: Field) -> tuple[pd.Series[Any], Mask]:
    """Read the column for the model, and bool [n_rows]: whether each value is valid."""
    codes, different = pd.factorize(text)
    checked = [check_value(read_cell(cell, spec), spec) for cell in different.tolist()]
    valid = np.array([rule is None for _, rule in checked], dtype=np.bool_)[codes]
    values = [value for value, _ in checked]
    if is_text(spec):
        return pd.Series(np.array(values, dtype=object)[codes], index=text.index), valid
    numbers = np.array(values, dtype=np.float64)[codes]
    if not is_float(spec):
        numbers = np.where(valid, numbers, 0).astype(np.int64)
    return pd.Series(numbers, index=text.index), valid
