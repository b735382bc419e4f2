"""Makes records on the edges of a contract, on which two forms of a model most likely differ."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from lib.record.contract import Contract, Field, Kind
from lib.synth import draw_features
from lib.synth.sampler import find_sampled_range

Score = Callable[[pd.DataFrame], npt.NDArray[np.float64]]
Values = npt.NDArray[np.float64]

UNSEEN_CATEGORY = "never seen"
_BASES = 4
# The number of intervals in which a jump is looked for; each shows one jump at most.
_INTERVALS = 512
_BISECTIONS = 64
# A continuous model moves less than this between neighbouring float64.
_JUMP = 1e-9


def make_edges(score: Score, contract: Contract, seed: int) -> pd.DataFrame:
    """Make rows with each edge in turn, based on a few different records.

    The edges are every category, an unknown category, blank text, the ends of each number's range,
    values with an indicator of their own, and both sides of every value at which the model jumps,
    exact to the bit: the split thresholds of trees, in the units of the record.

    Args:
        score: the model: features → float64 [n_rows].
        contract: the contract of the features.
        seed: the seed of the records.

    Returns:
        The contract's features, with the types of training data.
    """
    bases = draw_features(contract, _BASES, seed)
    rows = [bases]
    for field in contract.features:
        nulls = [None] if field.nullable else []
        if field.kind is Kind.CATEGORY:
            values = [*field.allowed, UNSEEN_CATEGORY, "", " ", *nulls]
            rows.append(_cross(bases, field.name, values))
            continue
        if field.kind is Kind.TEXT:
            continue
        if field.kind is Kind.BOOLEAN:
            rows.append(_cross(bases, field.name, [0, 1, *nulls]))
            continue
        jumps = [] if field.kind is Kind.INTEGER else list(find_jumps(score, bases, field))
        rows.append(_cross(bases, field.name, [*_list_ends(field), *jumps, *nulls]))
    return pd.concat(rows, ignore_index=True)


def find_jumps(score: Score, bases: pd.DataFrame, field: Field) -> Values:
    """Find both sides of each value of a number at which the model's probability jumps.

    Args:
        score: the model.
        bases: the records in which the number varies.
        field: a number with a finite range.

    Returns:
        Pairs of neighbouring float64; empty for a continuous model.
    """
    found = [_find_jumps(score, bases.iloc[[row]], field) for row in range(len(bases))]
    return np.unique(np.concatenate(found))


def _find_jumps(score: Score, base: pd.DataFrame, field: Field) -> Values:
    low, high = find_sampled_range(field)
    edges = np.linspace(low, high, _INTERVALS + 1)
    probabilities = score(_cross(base, field.name, edges))
    left, right = edges[:-1].copy(), edges[1:].copy()
    at_left, at_right = probabilities[:-1].copy(), probabilities[1:].copy()
    for _ in range(_BISECTIONS):
        narrow = (np.abs(at_right - at_left) > _JUMP) & (np.nextafter(left, right) < right)
        if not narrow.any():
            break
        middle = (left + (right - left) / 2)[narrow]
        at_middle = score(_cross(base, field.name, middle))
        # The half with the larger change is taken: a jump is as large in a narrower interval.
        is_left = np.abs(at_middle - at_left[narrow]) >= np.abs(at_right[narrow] - at_middle)
        right[narrow] = np.where(is_left, middle, right[narrow])
        at_right[narrow] = np.where(is_left, at_middle, at_right[narrow])
        left[narrow] = np.where(is_left, left[narrow], middle)
        at_left[narrow] = np.where(is_left, at_left[narrow], at_middle)
    jumps = np.abs(at_right - at_left) > _JUMP
    return np.concatenate([left[jumps], right[jumps]])


def _list_ends(field: Field) -> list[float]:
    low, high = find_sampled_range(field)
    ends = [low, high, *field.singled_out]
    if field.blank is not None:
        ends.append(field.blank)
    if field.kind is Kind.NUMBER:
        ends += [float(np.nextafter(low, high)), float(np.nextafter(high, low)), (low + high) / 3]
    return ends


def _cross(bases: pd.DataFrame, name: str, values: object) -> pd.DataFrame:
    """Combine every base with every value of one field; the column keeps its type."""
    column = pd.Series(values).astype(bases[name].dtype)
    repeated = bases.loc[bases.index.repeat(len(column))].reset_index(drop=True)
    repeated[name] = np.tile(column.to_numpy(), len(bases))
    return repeated
