"""The last hour is kept as points, with rates and percentiles of the seconds before each."""

from __future__ import annotations

import pytest

from lib.telemetry.figures import Figures
from lib.telemetry.page.history import History, Sampler, take_sample
from lib.telemetry.page.percentiles import find_percentile
from tests.telemetry.page.filled import add_records, build_figures

BOUNDS = (0.1, 0.25, 0.5)


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ((0, 0, 0, 0), 0.5, None),
        # All values lie between 0.1 and 0.25; half of them are expected below the middle.
        ((0, 10, 0, 0), 0.5, 0.175),
        ((0, 10, 0, 0), 1.0, 0.25),
        ((50, 49, 1, 0), 0.5, 0.1),
        ((50, 49, 1, 0), 0.99, 0.25),
        ((0, 0, 0, 7), 0.5, 0.5),
    ],
)
def test_a_percentile_lies_within_its_class(
    counts: tuple[int, ...], share: float, expected: float | None
) -> None:
    found = find_percentile(counts, BOUNDS, share)

    assert found == (None if expected is None else pytest.approx(expected))


def add_points(history: History, figures: Figures, times: range, per_step: int = 0) -> None:
    for seconds in times:
        if per_step:
            add_records(figures, per_step, 0)
        history.add(take_sample(figures, 1_000_000.0 + seconds, 50.0 + seconds))


def test_rate_and_latency_are_those_of_the_last_ten_seconds() -> None:
    figures, history = build_figures(1_000_000.0), History()
    add_points(history, figures, range(0, 20, 2), per_step=200)
    busy = history.newest
    add_points(history, figures, range(20, 24, 2))
    calming = history.newest
    add_points(history, figures, range(24, 40, 2))
    idle = history.newest

    assert busy is not None
    assert calming is not None
    assert idle is not None
    assert busy.rate == 100.0
    assert busy.p50_s == pytest.approx(0.175)
    assert busy.p99_s == pytest.approx(0.2485)
    assert calming.rate == 60.0
    assert idle.rate == 0.0
    assert idle.p50_s is None
    assert (idle.records, idle.dead_letters) == (3_000, 10)
    # The oldest record without an answer has waited 2 s at the beginning, and 38 s more since.
    assert (idle.lag_records, idle.lag_s) == (12, 40.0)
    assert idle.memory_bytes == 100 * 2**20 + 2**30
    assert idle.cpu == 0.0


def test_the_first_point_has_no_rate_yet() -> None:
    history = History()

    history.add(take_sample(Figures(), 1.0, 1.0))

    point = history.newest
    assert point is not None
    assert (point.rate, point.cpu, point.lag_records, point.memory_bytes) == (None,) * 4


def test_only_the_last_hour_is_kept() -> None:
    figures, history = Figures(), History()

    add_points(history, figures, range(0, 7_300, 2))

    times = history.list_columns()["at_s"]
    assert len(times) == 1_800
    assert times[-1] - times[0] == 3_598
    earlier = history.find_before(300)
    assert earlier is not None
    assert times[-1] - earlier.at_s == 300
    oldest = history.find_before(1e9)
    assert oldest is not None
    assert oldest.at_s == times[0]


def test_columns_without_a_point_are_empty() -> None:
    columns = History().list_columns()

    assert columns["rate"] == []
    assert set(map(len, columns.values())) == {0}
    assert History().find_before(300) is None


def test_samples_are_taken_without_a_viewer() -> None:
    history = History(interval_s=0.01)

    with Sampler(build_figures(0.0), history) as sampler:
        assert sampler.wait_for(lambda: len(history.list_columns()["at_s"]) > 3, 10)

    assert history.list_columns()["records"][-1] == 1_000
