"""Puts the sampled records of a batch into the bins of a profile, in Python workers."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.decode.engines.arrow import Category, Column, DecodedBatch
from lib.drift.bins import Bins, Places
from lib.drift.profile import Binning, Profile
from lib.drift.sample import are_sampled
from lib.messages.bins import write_bins
from lib.messages.columns import BINNED_SCHEMA, BINS

Rows = npt.NDArray[np.int64]


def bin_batch(
    records: pa.RecordBatch,
    decoded: DecodedBatch,
    probabilities: npt.NDArray[np.float64],
    rank: Rows,
    binning: Binning,
    model_version: str,
) -> pa.BinaryArray:
    """Write the column of bins: binary [n], null for records that have none.

    Args:
        records: n rows with the columns of ``lib.messages.columns.SOURCE_COLUMNS``.
        decoded: the decoded values of the records.
        probabilities: the probabilities of the m valid records, float64 [m].
        rank: the place of each record among the valid ones, int64 [n]; -1 for dead letters.
        binning: the profile, and how many records are sampled.
        model_version: the model and the backend that score.
    """
    if binning.profile is None or binning.model_version != model_version:
        return pa.nulls(records.num_rows, BINNED_SCHEMA.field(BINS).type)
    offsets = records["source_offset"].to_numpy()
    rows = np.flatnonzero(are_sampled(offsets, binning.sample) & (rank >= 0))
    chosen = rank[rows]
    quantities = binning.profile.quantities
    places = np.empty((len(rows), len(quantities)), np.uint8)
    for number, bins in enumerate(binning.profile.features):
        places[:, number] = _place(bins, decoded.features[bins.name], chosen)
    places[:, -1] = binning.profile.score.place_numbers(probabilities[chosen])
    return write_bins(_make_key(binning.profile, model_version), places, rows, len(offsets))


@lru_cache(maxsize=4)
def _make_key(profile: Profile, model_version: str) -> bytes:
    return profile.make_key(model_version)


def _place(bins: Bins, column: Column, rows: Rows) -> Places:
    if isinstance(column, Category):
        return _number_codes(bins, column.allowed)[column.codes[rows]]
    values = column[rows]
    if values.dtype == object:
        return bins.place_texts(values.tolist())
    return bins.place_numbers(values.astype(np.float64))


@lru_cache(maxsize=256)
def _number_codes(bins: Bins, allowed: tuple[str, ...]) -> Places:
    """Find the bin of each code of a category; the code of a missing value points to the last."""
    return bins.place_texts([*allowed, None])
