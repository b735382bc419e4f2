"""The bins of sampled records are written as one column and counted once."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

from lib.messages.bins import add_bins, count_bins, read_bins, write_bins
from lib.messages.columns import BINNED_SCHEMA
from lib.messages.tally import Tally, count_messages

KEY, OTHER = bytes((1, 2, 3, 4)), bytes((9, 9, 9, 9))


def write(key: bytes, places: list[list[int]], rows: list[int], count: int) -> pa.BinaryArray:
    table = np.array(places, np.uint8).reshape(len(rows), len(places[0]) if places else 1)
    return write_bins(key, table, np.array(rows, np.int64), count)


def test_sampled_records_have_a_key_and_their_bins_and_others_nothing() -> None:
    column = write(KEY, [[0, 2], [255, 1]], [1, 9], 11)

    column.validate(full=True)
    assert column.to_pylist() == [
        *(None, bytes((1, 2, 3, 4, 0, 2)), *[None] * 7, bytes((1, 2, 3, 4, 255, 1)), None)
    ]
    assert write(KEY, [], [], 3).to_pylist() == [None] * 3


def test_bins_are_counted_by_key_and_quantity_in_any_pieces() -> None:
    column = pa.chunked_array(
        [
            write(KEY, [[0, 2], [1, 2], [1, 0]], [0, 2, 3], 5),
            write(OTHER, [[1, 0, 0]], [0], 1).slice(0, 1),
            write(KEY, [[1, 2], [3, 2]], [0, 1], 2).slice(0, 1),
        ]
    )

    assert count_bins(column) == {
        "01020304": ((1, 3), (1, 0, 3)),
        "09090909": ((0, 1), (1,), (1,)),
    }
    assert count_bins(pa.nulls(3, pa.binary())) == {}


def test_versions_of_equally_many_quantities_are_told_apart() -> None:
    column = pa.chunked_array([write(KEY, [[0], [1]], [0, 1], 2), write(OTHER, [[1]], [0], 1)])

    assert count_bins(column) == {"01020304": ((1, 1),), "09090909": ((0, 1),)}


def test_counts_are_added_whatever_their_lengths() -> None:
    first, second = {"a": ((1, 2), (3,))}, {"a": ((1,), (0, 4)), "b": ((7,),)}

    assert add_bins(first, second) == {"a": ((2, 2), (3, 4)), "b": ((7,),)}
    assert add_bins(first, {}) == add_bins({}, first) == first


def test_a_tally_counts_the_bins_of_new_messages_only_and_travels_as_json() -> None:
    rows = pa.Table.from_pylist(
        [
            {
                "topic": "out",
                "source_partition": 0,
                "source_offset": offset,
                "outcome": "m\tYes",
                "bins": KEY + bytes((offset,)),
            }
            for offset in range(4)
        ],
        schema=BINNED_SCHEMA,
    )

    tally = count_messages(rows, {0: 2}, 0.0)

    assert tally is not None
    assert tally.bins == {"01020304": ((0, 0, 1, 1),)}
    assert Tally.from_json(json.loads(json.dumps(tally.to_json()))) == tally
    assert tally.add(tally).bins == {"01020304": ((0, 0, 2, 2),)}
    assert read_bins({"a": [[1, 2]]}) == {"a": ((1, 2),)}
