from __future__ import annotations

from itertools import accumulate, chain, islice

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import PlanRefusedError
from lib.exactly_once.transaction.parts import iter_parts


def batch(*offsets: int, size: int = 100) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {
            "value": pa.array([bytes(size)] * len(offsets), pa.binary()),
            "source_offset": pa.array(offsets, pa.int64()),
        }
    )


def offsets_of(table: pa.Table) -> list[int]:
    found: list[int] = table["source_offset"].to_pylist()
    return found


def test_a_partition_that_fits_is_one_part() -> None:
    ((table, end),) = iter_parts([batch(0, 1), batch(2, 5)], 10_000, end=9)

    assert (offsets_of(table), end) == ([0, 1, 2, 5], 9)


@given(
    st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8), min_size=1, max_size=8),
    st.integers(1, 3_000),
)
def test_parts_hold_every_message_once_and_split_no_record(
    steps: list[list[int]], part_bytes: int
) -> None:
    offsets = list(accumulate(chain.from_iterable(steps)))
    rows = iter(offsets)
    batches = [batch(*islice(rows, len(part))) for part in steps]
    end = offsets[-1] + 1

    parts = list(iter_parts(batches, part_bytes, end))

    assert [offset for table, _ in parts for offset in offsets_of(table)] == offsets
    ends = [end for _, end in parts]
    starts = [0, *ends[:-1]]
    for (table, _), first, last in zip(parts, starts, ends, strict=True):
        assert all(first <= offset < last for offset in offsets_of(table))
    assert ends[-1] == end


def test_parts_are_about_as_large_as_asked() -> None:
    batches = [batch(n) for n in range(100)]

    sizes = [table.num_rows for table, _ in iter_parts(batches, 1_000, end=100)]

    # A message of 100 bytes is a little larger with its length and its offset.
    assert set(sizes[:-1]) <= {7, 8, 9}
    assert sum(sizes) == 100


def test_messages_of_one_record_stay_together_however_many() -> None:
    batches = [batch(*[7] * 20) for _ in range(5)]

    ((table, end),) = iter_parts(batches, 1_000, end=8)

    assert (table.num_rows, end) == (100, 8)


@pytest.mark.parametrize(
    "batches",
    [[batch(2, 1, 3)], [batch(0, 1, 2), batch(1, 3)], [batch(0, 5, 6, 9), batch(10, 8)]],
)
def test_parts_out_of_order_are_refused(batches: list[pa.RecordBatch]) -> None:
    parts = iter_parts(batches, 300, end=11)

    # The error comes before the first part, because a part that was written cannot be taken back.
    with pytest.raises(PlanRefusedError, match=r"not in the order.*nothing of this partition's"):
        next(parts)


def test_rows_out_of_order_are_named() -> None:
    parts = iter_parts([batch(0, 5, 6, 9), batch(10, 8)], 300, end=11)

    with pytest.raises(PlanRefusedError, match=r"one for @8 comes after one for @10 "):
        next(parts)


def test_a_large_part_without_a_position_is_refused() -> None:
    holed = pa.RecordBatch.from_pydict(
        {"value": pa.array([bytes(500)]), "source_offset": pa.array([None], pa.int64())}
    )
    with pytest.raises(PlanRefusedError, match="1 of 1 messages have no source_offset"):
        next(iter_parts([holed], 300, end=11))


def test_rows_that_fit_may_be_in_any_order() -> None:
    ((table, end),) = iter_parts([batch(2, 1), batch(0)], 10_000, end=3)

    assert (offsets_of(table), end) == ([2, 1, 0], 3)
