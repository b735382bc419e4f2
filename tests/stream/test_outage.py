"""An outage is looked for only on suspicion, and reported at growing intervals until its end."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest

from lib.kafka.cluster import Cluster
from lib.stream.watch.outage import Brokers, OutageWatch
from lib.tools.broker import Broker
from tests.conftest import TopicFactory
from tests.support.waiting import wait_until


class BrokersAway:
    """A cluster that is away when told so, and counts the questions to it."""

    fault: str | None = None
    questions = 0

    def find_fault(self) -> str | None:
        self.questions += 1
        return self.fault


class Lines(logging.Handler):
    """A handler that keeps what is logged, without the times."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(re.sub(r"\d\d:\d\d:\d\d", "HH:MM:SS", record.getMessage()))


@pytest.fixture
def lines() -> Iterator[list[str]]:
    logger, handler = logging.getLogger("lib.stream.watch.outage"), Lines()
    logger.addHandler(handler)
    yield handler.found
    logger.removeHandler(handler)


def test_an_outage_begins_with_the_silence_and_ends_with_an_answer(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.stream.watch.outage.time.monotonic", lambda: 1_000.0)
    cluster = BrokersAway()
    watch = OutageWatch(cluster.find_fault, lambda: 5.0)
    watch.ask()
    assert (watch.duration_s, lines) == (0.0, [])

    cluster.fault = "no broker answers at b:9092 (timed out)"
    watch.ask()
    watch.ask()
    assert watch.duration_s == 5.0
    assert lines == ["no broker answers at b:9092 (timed out), since HH:MM:SS (5 s); the job waits"]

    cluster.fault = None
    watch.ask()
    assert watch.duration_s == 0.0
    assert lines[1:] == ["the brokers answer again, after 5 s"]


def test_lines_about_an_outage_come_at_growing_intervals(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_000.0]
    monkeypatch.setattr("lib.stream.watch.outage.time.monotonic", lambda: clock[0])
    cluster = BrokersAway()
    cluster.fault = "no broker answers"
    watch = OutageWatch(cluster.find_fault, lambda: 5.0)
    for _ in range(3_600):
        watch.ask()
        clock[0] += 1.0

    told = [int(re.findall(r"\((\d+) s\)", line)[0]) for line in lines]
    assert told == [5, 15, 30, 60, 120, 240, 480, 960, 1560, 2160, 2760, 3360]


def test_repeated_transactions_are_told_of_unless_brokers_are_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    retries = logging.getLogger("lib.exactly_once.transaction.retry")
    cluster = BrokersAway()
    with (
        caplog.at_level(logging.WARNING, retries.name),
        OutageWatch(cluster.find_fault, lambda: 0.0) as watch,
    ):
        retries.warning("before")
        cluster.fault = "no broker answers"
        watch.ask()
        retries.warning("meanwhile")
        cluster.fault = None
        watch.ask()
        retries.warning("after")
    cluster.fault = "no broker answers"
    watch.ask()
    with caplog.at_level(logging.WARNING, retries.name):
        retries.warning("when nobody watches")

    told = [record.message for record in caplog.records if record.name == retries.name]
    assert told == ["before", "after", "when nobody watches"]


def test_failures_since_an_outage_are_told_from_those_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [1_000.0]
    monkeypatch.setattr("lib.stream.watch.outage.time.monotonic", lambda: clock[0])
    cluster = BrokersAway()
    watch = OutageWatch(cluster.find_fault, lambda: 0.0)
    assert not watch.was_on(0.0)
    cluster.fault = "no broker answers"
    watch.ask()
    assert watch.was_on(1_010.0)
    clock[0] = 1_020.0
    cluster.fault = None
    watch.ask()

    assert watch.was_on(1_020.0)
    assert not watch.was_on(1_020.1)
    clock[0] = 1_030.0
    assert watch.answering_s == 10.0


def test_brokers_are_asked_only_where_the_query_is_silent() -> None:
    cluster, silence = BrokersAway(), [0.0]
    with OutageWatch(cluster.find_fault, lambda: silence[0]) as watch:
        assert not watch.wait_for(lambda: cluster.questions > 0, timeout_s=2.5)
        silence[0] = 3.0
        wait_until(lambda: cluster.questions > 0)


def test_a_closed_port_is_no_broker() -> None:
    fault = Brokers(Cluster("127.0.0.1:1"), ["input"]).find_fault()

    assert fault is not None
    assert fault.startswith("no broker answers at 127.0.0.1:1 (")


def test_a_broker_that_knows_the_topics_or_not_has_answered(
    broker: Broker, topic: TopicFactory
) -> None:
    brokers = Brokers(broker.cluster, [topic(2), "no-such-topic"])

    assert brokers.find_fault() is None
    assert brokers.find_fault() is None
