from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import SinkError
from lib.sinks.outbox import drop_committed

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), max_size=30)


def table(rows: list[tuple[int, int]]) -> pa.Table:
    return pa.table(
        {
            "topic": [f"topic-{o % 2}" for _, o in rows],
            "source_partition": pa.array([p for p, _ in rows], pa.int32()),
            "source_offset": pa.array([o for _, o in rows], pa.int64()),
        }
    )


@given(ROWS, st.dictionaries(st.integers(0, 3), st.none() | st.integers(0, 30)))
def test_exactly_the_rows_at_or_past_the_committed_offset_are_kept(
    rows: list[tuple[int, int]], committed: dict[int, int | None]
) -> None:
    kept, skipped = drop_committed(table(rows), committed, dict.fromkeys(range(4), 31))

    expected = [(p, o) for p, o in rows if o >= (committed.get(p) or 0)]
    columns = ("source_partition", "source_offset")
    found = [] if kept is None else list(zip(*(kept[c].to_pylist() for c in columns), strict=True))
    assert found == expected
    left_out = [f"topic-{o % 2}" for p, o in rows if o < (committed.get(p) or 0)]
    assert skipped == Counter(left_out)


def test_no_messages_are_nothing_to_write() -> None:
    assert drop_committed(None, {}, {0: 5}) == (None, {})
    assert drop_committed(table([]), {}, {0: 5}) == (None, {})


def test_a_row_of_a_partition_that_the_batch_does_not_have_is_refused() -> None:
    with pytest.raises(SinkError, match=r"\[2\]@0, but its batch ends @0"):
        drop_committed(table([(2, 0)]), {}, {0: 5})
