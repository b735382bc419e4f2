"""Another live query on the same partitions is seen, in pure tests and on a real broker."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lib.exactly_once.offsets.stamp import Author, Lease, Stamp
from lib.exactly_once.sink import ExactlyOnceSink
from lib.exactly_once.start.overlap import Overlap, find_overlaps, warn_of_overlaps
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.exactly_once.transaction.writer import TransactionalWriter
from lib.kafka.admin import build_admin
from lib.kafka.cluster import Cluster
from lib.tools.broker import Broker
from tests.conftest import TopicFactory
from tests.exactly_once.copying import Copying
from tests.support.consumer_groups import read_group
from tests.support.waiting import wait_until

NOW_S = 1_000
LOGGER = "lib.exactly_once.start.overlap"


def sign(run_id: str, committed_s: int, lasts_s: int = 60) -> Stamp:
    return Stamp("query", run_id, 7, lease=Lease(committed_s, lasts_s))


@pytest.mark.parametrize(
    ("stamps", "overlaps"),
    [
        ({}, []),
        ({"other": {2: sign("a", 990)}}, []),
        ({"other": {0: sign("a", 990), 1: sign("a", 990)}}, [Overlap("other", "a", (0, 1))]),
        ({"other": {0: sign("a", 990), 2: sign("a", 990)}}, [Overlap("other", "a", (0,))]),
        ({"ended": {0: sign("a", 900)}}, []),
        ({"stopped": {0: sign("a", 990, lasts_s=0)}}, []),
        ({"former release": {0: Stamp("query", "a", 7)}}, []),
        ({"other": {0: sign("old", 980), 1: sign("new", 990)}}, [Overlap("other", "new", (1,))]),
        ({"idle": {0: sign("a", 10), 3: sign("a", 990)}}, [Overlap("idle", "a", (0,))]),
        ({"ended since": {0: sign("a", 980), 1: sign("a", 990, lasts_s=0)}}, []),
        (
            {"b": {0: sign("x", 990)}, "a": {1: sign("y", 990)}},
            [Overlap("a", "y", (1,)), Overlap("b", "x", (0,))],
        ),
    ],
)
def test_only_queries_that_are_alive_on_the_same_partitions_overlap(
    stamps: Mapping[str, Mapping[int, Stamp]], overlaps: list[Overlap]
) -> None:
    assert find_overlaps(stamps, {0, 1}, NOW_S) == overlaps


def test_the_line_names_the_query_its_run_and_the_partitions() -> None:
    assert Overlap("high", "host:1:aa", (2, 3)).describe("customers") == (
        "query high (run host:1:aa) answers the partitions [2, 3] of customers too: their records"
        " get an answer from each of the two (name other --partitions, unless that is what you"
        " want)"
    )


def test_a_query_that_runs_is_seen_by_others_and_not_by_itself(
    broker: Broker, topic: TopicFactory, caplog: pytest.LogCaptureFixture
) -> None:
    source, servers = topic(4), broker.bootstrap_servers
    settings = TransactionSettings(servers, f"high-{source}", source, partitions=frozenset({2, 3}))
    admin = build_admin(Cluster(servers))
    author = Author("host:1:aa", lease_s=600)
    with closing(TransactionalWriter(settings, author=author)) as writer:
        writer.open()
        writer.claim({2: 0, 3: 0}, query_id="query")
        wait_until(lambda: len(read_group(servers, settings.query_name)) == 2)

        with caplog.at_level(logging.WARNING, LOGGER):
            for name, mine in (("another", {1, 2}), ("low", {0, 1}), (settings.query_name, {2, 3})):
                warn_of_overlaps(admin, replace(settings, query_name=name), mine)

    assert [record.message for record in caplog.records if record.name == LOGGER] == [
        f"query high-{source} (run host:1:aa) answers the partitions [2] of {source} too: their"
        " records get an answer from each of the two (name other --partitions, unless that is what"
        " you want)"
    ]


def test_a_start_warns_of_another_query_on_its_partitions(
    copying: Copying, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def start(name: str, *partitions: int) -> ExactlyOnceSink:
        return copying.start_sink(
            query_name=f"{copying.settings.query_name}-{name}",
            checkpoint=str(tmp_path / name),
            partitions=frozenset(partitions),
            lease_s=600,
        )

    with caplog.at_level(logging.WARNING, LOGGER), closing(start("low", 0, 1)):
        with closing(start("high", 2, 3)):
            pass
        assert [it for it in caplog.records if it.name == LOGGER] == []
        with closing(start("middle", 1, 2)):
            pass
    with caplog.at_level(logging.WARNING, LOGGER), closing(start("late", 0, 1, 2, 3)):
        pass  # all others have ended

    (line,) = [it.message for it in caplog.records if it.name == LOGGER]
    assert line.startswith(f"query {copying.settings.query_name}-low (run ")
    assert f"answers the partitions [1] of {copying.settings.source_topic} too:" in line
