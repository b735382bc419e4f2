from __future__ import annotations

from lib.stream.watch.restarts import RestartPolicy


def test_delays_double_up_to_the_longest_and_end_at_the_limit() -> None:
    policy = RestartPolicy(limit=7, first_delay_s=1.0, longest_delay_s=30.0)

    delays = [policy.find_delay_s(failures) for failures in range(1, 9)]
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, None]


def test_no_restarts_at_all() -> None:
    assert RestartPolicy(limit=0).find_delay_s(1) is None
