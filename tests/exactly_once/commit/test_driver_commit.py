"""A batch is computed in the right number of tasks; ``test_exactly_once.py`` tests its result."""

from __future__ import annotations

import pytest

from lib.exactly_once.commit.driver import count_tasks


@pytest.mark.parametrize(
    ("records", "slots", "tasks"),
    [(0, 4, 4), (150, 4, 4), (40_000, 4, 4), (40_001, 4, 5), (100_000, 4, 10), (1_000_000, 4, 100)],
)
def test_all_slots_are_used_and_more_where_it_pays(records: int, slots: int, tasks: int) -> None:
    assert count_tasks(records, slots) == tasks
