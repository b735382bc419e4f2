"""Metrics are served for as long as somebody must see them."""

from __future__ import annotations

import threading
import urllib.request

import pytest

from lib.errors import OwnerAliveError, SinkTakenOverError
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.telemetry.monitor import Monitor
from lib.telemetry.state import State
from lib.telemetry.web.serving import serve
from lib.tools.broker.ports import pick_free_ports
from tests.support.waiting import wait_until


def test_a_job_that_was_replaced_serves_its_metrics_until_they_are_scraped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scraped = threading.Event()
    monkeypatch.setattr("lib.telemetry.web.serving.sleep", lambda _: scraped.wait(60))
    address = f"127.0.0.1:{pick_free_ports(1)[0]}"
    monitor = Monitor(is_on=True)
    found: list[str] = []

    def scrape() -> None:
        wait_until(lambda: monitor.job.status.state is State.STOPPING)
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
            found.append(answer.read().decode())
        scraped.set()

    scraper = threading.Thread(target=scrape)
    scraper.start()
    failure = SinkTakenOverError("another run has taken over")
    monitor.note_failure(failure)
    with (
        pytest.raises(SinkTakenOverError),
        serve(ScoreStreamSettings(metrics=address), monitor),
    ):
        raise failure
    scraper.join()

    (metrics,) = found
    assert "\nscoring_fenced_total 1.0\n" in metrics
    assert "\nscoring_ready 0.0\n" in metrics


@pytest.mark.parametrize("metrics", ["", "127.0.0.1:0"])
def test_a_start_that_another_job_refuses_ends_at_once(
    metrics: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.telemetry.web.serving.sleep", lambda _: pytest.fail("it waits"))

    with (
        pytest.raises(OwnerAliveError),
        serve(ScoreStreamSettings(metrics=metrics), Monitor()),
    ):
        raise OwnerAliveError("another job runs")
