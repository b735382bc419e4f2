"""The column of bins, which tells how the values of sampled records are distributed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import zip_longest

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.drift.bins import KEY_BYTES

#: Key of a profile in hexadecimal digits → for each quantity the counts of its first bins.
BinCounts = Mapping[str, tuple[tuple[int, ...], ...]]

# A bin's number is one byte.
_BINS = 256


def write_bins(
    key: bytes, places: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64], count: int
) -> pa.BinaryArray:
    """Write the column of a batch: binary [count].

    Args:
        key: the key of the profile.
        places: the bins of each sampled record, uint8 [n_sampled, n_quantities].
        rows: the places of these records in the batch, increasing, int64 [n_sampled].
        count: the number of records in the batch.
    """
    width = KEY_BYTES + places.shape[1]
    data = np.empty((len(rows), width), np.uint8)
    data[:, :KEY_BYTES] = np.frombuffer(key, np.uint8)
    data[:, KEY_BYTES:] = places
    is_there = np.zeros(count, np.bool_)
    is_there[rows] = True
    ends = np.zeros(count + 1, np.int32)
    np.cumsum(is_there * width, out=ends[1:])
    validity = np.packbits(is_there, bitorder="little")
    buffers = [pa.py_buffer(it) for it in (validity, ends, data)]
    return pa.Array.from_buffers(pa.binary(), count, buffers)


def count_bins(column: pa.ChunkedArray | pa.BinaryArray) -> BinCounts:
    """Count a column that :func:`write_bins` has written, in any pieces."""
    found = column.drop_null()
    counts: dict[str, tuple[tuple[int, ...], ...]] = {}
    # The records of one version are equally long.
    for width in pc.unique(pc.binary_length(found)).to_pylist():
        same = found.filter(pc.equal(pc.binary_length(found), width))
        data = np.frombuffer(b"".join(same.to_pylist()), np.uint8).reshape(-1, width)
        keys = np.ascontiguousarray(data[:, :KEY_BYTES]).view(f"S{KEY_BYTES}").ravel()
        for key in np.unique(keys):
            chosen = data[keys == key]
            text = chosen[0, :KEY_BYTES].tobytes().hex()
            counts[text] = _count_places(chosen[:, KEY_BYTES:])
    return counts


def _count_places(places: npt.NDArray[np.uint8]) -> tuple[tuple[int, ...], ...]:
    quantities = places.shape[1]
    shifted = places + np.arange(quantities) * _BINS
    counts = np.bincount(shifted.ravel(), minlength=quantities * _BINS)
    table = counts.reshape(quantities, _BINS)
    return tuple(tuple(np.trim_zeros(row, "b").tolist()) for row in table)


def add_bins(first: BinCounts, second: BinCounts) -> BinCounts:
    """Return the counts of both together."""
    if not first or not second:
        return first or second
    return {key: _add(first.get(key, ()), second.get(key, ())) for key in {**first, **second}}


def _add(
    first: tuple[tuple[int, ...], ...], second: tuple[tuple[int, ...], ...]
) -> tuple[tuple[int, ...], ...]:
    pairs = zip_longest(first, second, fillvalue=())
    return tuple(tuple(a + b for a, b in zip_longest(*pair, fillvalue=0)) for pair in pairs)


def read_bins(value: Mapping[str, Iterable[Iterable[int]]]) -> BinCounts:
    """Read counts that were JSON."""
    return {key: tuple(map(tuple, table)) for key, table in value.items()}
