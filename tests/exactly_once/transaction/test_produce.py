from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import PlanRefusedError, SinkError
from lib.exactly_once.transaction.produce import drop_committed, refuse_loop

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


def test_messages_for_the_topic_that_is_read_are_refused() -> None:
    with pytest.raises(PlanRefusedError) as refusal:
        refuse_loop(table([(0, 1), (0, 2), (0, 3)]), "topic-1")

    assert refusal.value.message == (
        "2 of 3 messages are addressed to topic-1, which the query reads: it would answer its own"
        " messages without end"
    )
    refuse_loop(table([(0, 1), (0, 2), (0, 3)]), "topic-2")
    refuse_loop(table([]), "topic-1")
    refuse_loop(None, "topic-1")


def test_a_row_below_the_start_of_its_batch_is_no_row_that_was_written() -> None:
    rows = table([(0, 5), (1, 7), (1, 6)])

    with pytest.raises(SinkError, match=r"answers the record in\[1\]@6, but its batch starts @7"):
        drop_committed(rows, {0: 9, 1: 9}, {0: 9, 1: 9}, {0: 5, 1: 7}, "in")


def test_rows_of_a_batch_that_was_written_before_are_left_out() -> None:
    kept, skipped = drop_committed(table([(0, 5), (0, 6)]), {0: 6}, {0: 9}, {0: 5, 1: 7})

    assert kept is not None
    assert kept["source_offset"].to_pylist() == [6]
    assert skipped == {"topic-1": 1}


@pytest.mark.parametrize("column", ["topic", "source_partition", "source_offset"])
def test_a_message_that_does_not_say_where_to_and_what_it_answers_is_refused(column: str) -> None:
    rows = table([(0, 1), (0, 2), (0, 3)])
    position = rows.schema.get_field_index(column)
    holed = pa.array([rows[column][0], None, rows[column][2]], rows[column].type)

    with pytest.raises(PlanRefusedError, match=f"1 of 3 messages have no {column}"):
        drop_committed(rows.set_column(position, column, holed), {}, {0: 5})
