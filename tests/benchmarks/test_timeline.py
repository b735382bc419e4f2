from __future__ import annotations

import pytest

from benchmarks.timeline import Sighting, compute_rate, find_finish_s, find_first_s


def see(*pairs: tuple[float, int]) -> list[Sighting]:
    return [Sighting(at_s, total) for at_s, total in pairs]


BATCHES = see((0.0, 0), (5.0, 100), (6.0, 200), (8.0, 400))


def test_the_first_and_the_last_message_are_found() -> None:
    assert find_first_s(BATCHES) == 5.0
    assert find_finish_s(BATCHES) == 8.0


def test_what_never_came_is_not_found() -> None:
    assert find_first_s(see((0.0, 0))) is None
    assert find_finish_s(see((0.0, 0))) is None
    assert find_finish_s([]) is None


def test_the_rate_begins_where_the_share_is_out() -> None:
    # There are 300 records in the 3 s from the end of the first batch on, and 200 in the 2 s from
    # the end of the second.
    assert compute_rate(BATCHES, 400, 0.25) == pytest.approx(100.0)
    assert compute_rate(BATCHES, 400, 0.5) == pytest.approx(100.0)


def test_the_rate_begins_with_a_sighting_beyond_the_share() -> None:
    assert compute_rate(BATCHES, 400, 0.26) == pytest.approx(100.0)
    assert compute_rate(see((1.0, 10), (2.0, 30), (4.0, 40)), 40, 0.5) == pytest.approx(5.0)


def test_transaction_markers_do_not_count_as_records() -> None:
    markers = see((5.0, 104), (6.0, 208), (8.0, 416))

    assert compute_rate(markers, 400, 0.25) == pytest.approx(100.0)


def test_there_is_no_rate_where_all_came_at_once() -> None:
    assert compute_rate(see((0.0, 0), (5.0, 400)), 400, 0.25) is None
    assert compute_rate(see((0.0, 0)), 400, 0.25) is None
