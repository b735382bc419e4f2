"""Run ``jobs/offsets.py`` on a real broker, in a group that a transactional writer has moved."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from jobs.offsets import manage_offsets
from lib.errors import KafkaSetupError, OffsetsInUseError, SettingsError, SinkFencedError
from lib.exactly_once.offsets.stamp import Author, Committer, Stamp, make_run_id
from lib.exactly_once.transaction.group_offsets import look_at_group
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.exactly_once.transaction.writer import TransactionalWriter
from lib.kafka.admin import build_admin, read_topic_id
from lib.settings.jobs.offsets import OffsetsSettings
from lib.settings.load import load_settings
from tests.support.consumer_groups import read_group

if TYPE_CHECKING:
    from lib.tools.broker import Broker
    from tests.conftest import TopicFactory

#: Noon of the first day; partition 0 has a record an hour, partition 1 every two hours.
NOON = datetime(2025, 1, 23, 12, tzinfo=UTC)
Run = Callable[..., list[str]]


@pytest.fixture
def source(broker: Broker, topic: TopicFactory) -> str:
    name = topic(2)
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for partition, every in ((0, 1), (1, 2)):
        for number in range(24):
            time_ms = int((NOON + timedelta(hours=number * every)).timestamp() * 1000)
            producer.produce(name, value=b"v", partition=partition, timestamp=time_ms)
    assert producer.flush(30) == 0
    return name


@pytest.fixture
def group(source: str) -> str:
    return f"query-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def writing(broker: Broker, source: str, group: str) -> TransactionSettings:
    return TransactionSettings(broker.bootstrap_servers, group, source)


@pytest.fixture
def run(broker: Broker, source: str, group: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command and returns its lines after the first, stripped."""

    def call(*arguments: str) -> list[str]:
        own = {
            "--bootstrap-servers": broker.bootstrap_servers,
            "--query-name": group,
            "--input-topic": source,
        }
        named = [f"{flag}={value}" for flag, value in own.items() if flag not in arguments]
        assert manage_offsets(load_settings(OffsetsSettings, [*arguments, *named], {})) == 0
        first, *lines = capsys.readouterr().out.splitlines()
        assert first.startswith("group ")
        return [re.sub(r" *\| *", "|", line.strip()) for line in lines]

    return call


def read_positions(settings: TransactionSettings, group: str = "") -> dict[int, int]:
    """Read partition → position; brokers show what a transaction has set a moment after it."""
    asked = replace(settings, query_name=group or settings.query_name)
    return dict(look_at_group(build_admin(settings.cluster), asked).offsets)


def commit(
    settings: TransactionSettings, ends: dict[int, int], *, lease_s: int = 0
) -> TransactionalWriter:
    """Return a writer that has committed, and stays open."""
    admin = build_admin(settings.cluster)
    author = Author(make_run_id(), read_topic_id(admin, settings.source_topic), lease_s=lease_s)
    writer = TransactionalWriter(settings, author=author)
    writer.open()
    writer.write(None, ends, batch_id=7, query_id="q")
    return writer


def test_positions_are_shown_with_who_has_committed_them(
    run: Run, writing: TransactionSettings, source: str
) -> None:
    assert run("show") == [
        "partition|oldest|position|end|lag|committed by",
        "0|0|none|24|unknown|–",
        "1|0|none|24|unknown|–",
    ]

    producer = Producer(
        {"bootstrap.servers": writing.bootstrap_servers, "transactional.id": f"{source}-open"}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(source, b"open", partition=1)
    producer.flush()
    with closing(commit(writing, {0: 20, 1: 24}, lease_s=30)):
        shown = run("show")
    producer.abort_transaction()

    run_id = r"run [^ ]+:\d+:[0-9a-f.]+"
    assert re.fullmatch(rf"0\|0\|20\|24\|4\|{run_id}, batch 7, \d{{4}}-.*Z", shown[1])
    assert re.fullmatch(rf"1\|0\|24\|24\|0\|{run_id}, batch 7, \d{{4}}-.*Z", shown[2])
    assert shown[3] == (
        "partition 1: 1 offsets behind the end above wait for the end of an open transaction, and"
        " are no part of the lag"
    )
    assert re.fullmatch(rf"the query is answered by {run_id} \(.*\), which is alive", shown[4])


def test_positions_are_set_to_every_kind_of_place(
    run: Run, writing: TransactionSettings, source: str
) -> None:
    commit(writing, {0: 20, 1: 10}).close()

    for to, expected in {
        "latest": ["0|20|24|skips 4", "1|10|24|skips 14"],
        "5": ["0|20|5|repeats 15", "1|10|5|repeats 5"],
        "0:5,1:23": ["0|20|5|repeats 15", "1|10|23|skips 13"],
        "1:3": ["1|10|3|repeats 7"],
        "2025-01-24": ["0|20|12|repeats 8", "1|10|6|repeats 4"],
        "2025-01-24T01:30:00Z": ["0|20|14|repeats 6", "1|10|7|repeats 3"],
        "2025-01-24T01:30:00+01:30": ["0|20|12|repeats 8", "1|10|6|repeats 4"],
        "2025-12-24": ["0|20|24|skips 4", "1|10|24|skips 14"],
        "1999-12-31": ["0|20|0|repeats 20", "1|10|0|repeats 10"],
    }.items():
        _, *lines, last = run("set", "--to", to, "--dry-run")
        assert [line.partition(" offsets: ")[0] for line in lines] == expected, to
        assert last == "nothing was changed, as --dry-run says"
    assert read_positions(writing) == {0: 20, 1: 10}

    assert run("set", "--to", "2025-01-24")[-1] == "done"
    assert read_positions(writing) == {0: 12, 1: 6}
    assert run("set", "--to", "earliest")[1].startswith("0|12|0|repeats 12 offsets: their records")
    assert read_positions(writing) == {0: 0, 1: 0}


def test_a_change_is_said_and_carries_a_stamp_and_no_lease(
    run: Run, writing: TransactionSettings
) -> None:
    commit(writing, {0: 20, 1: 10}).close()

    assert run("set", "--partitions", "1", "--to", "12") == [
        "partition|position|new|what it means",
        "1|10|12|skips 2 offsets: their records get no answer",
        "done",
    ]

    metadata = look_at_group(build_admin(writing.cluster), writing).stamps
    stamps = {p: Stamp.from_metadata(text) for p, text in metadata.items()}
    assert stamps[0] is not None
    assert stamps[1] is not None
    assert (stamps[0].query_id, stamps[0].batch_id) == ("q", 7)
    assert (stamps[1].query_id, stamps[1].committer) == ("person", Committer.DRIVER)
    assert stamps[1].topic_id == stamps[0].topic_id
    assert stamps[1].lease is not None
    assert stamps[1].lease.lasts_s == 0
    assert run("show")[2].startswith("1|0|12|24|12|jobs/offsets.py, 2")


def test_a_job_that_is_alive_is_left_alone(
    run: Run, writing: TransactionSettings, group: str, source: str
) -> None:
    with closing(commit(writing, {0: 20, 1: 10}, lease_s=30)) as writer:
        for arguments in (
            ["set", "--to", "earliest"],
            ["delete"],
            ["copy", "--from-group", group, "--query-name", "another"],
        ):
            with pytest.raises(OffsetsInUseError) as refusal:
                run(*arguments)
            assert refusal.value.message.startswith(f"query {group} is answered by run ")
            assert refusal.value.message.endswith("), which is alive")
            assert refusal.value.hint.startswith("stop that job first; if it was killed elsewhere")
        writer.write(None, {0: 21, 1: 10}, batch_id=8, query_id="q")

    assert read_positions(writing) == {0: 21, 1: 10}
    assert read_positions(writing, "another") == {}


def test_a_run_that_no_lease_shows_cannot_move_a_position_afterwards(
    run: Run, writing: TransactionSettings, source: str
) -> None:
    with closing(commit(writing, {0: 20, 1: 10})) as writer:
        run("set", "--to", "earliest")
        with pytest.raises(SinkFencedError):
            writer.write(None, {0: 24, 1: 24}, batch_id=8, query_id="q")

    assert read_positions(writing) == {0: 0, 1: 0}


def test_a_consumer_that_has_subscribed_is_named(
    run: Run, writing: TransactionSettings, source: str
) -> None:
    group = {"group.id": writing.query_name, "auto.offset.reset": "earliest"}
    servers = {"bootstrap.servers": writing.bootstrap_servers}
    with closing(Consumer({**servers, **group})) as consumer:
        consumer.subscribe([source])
        assert len(consumer.consume(1, timeout=30)) == 1
        assert run("show")[-1] == "1 consumers have subscribed with the group"
        with pytest.raises(OffsetsInUseError, match="1 consumers have subscribed with group"):
            run("set", "--to", "latest")


def test_places_that_the_topic_does_not_have_are_refused(run: Run, source: str) -> None:
    past = rf"{source}\[0\] has no offset 25: its oldest record is @0, and it ends @24"
    for arguments, message in (
        (["--to", "25"], past),
        (["--to", "0:24,1:24,2:0"], f"topic {source} has no partition 2; found 2 partitions"),
        (["--to", "0:5,1:5", "--partitions", "0"], r"--to names the partitions \[1\], which"),
    ):
        with pytest.raises(SettingsError, match=message):
            run("set", *arguments)
    with pytest.raises(KafkaSetupError, match=r"has 2 partitions, without \[7\]"):
        run("set", "--to", "earliest", "--partitions", "7")


def test_positions_are_copied_from_any_group_and_deleted(
    run: Run, writing: TransactionSettings, source: str, topic: TopicFactory
) -> None:
    servers, name = writing.bootstrap_servers, writing.query_name
    old, other_topic = f"old-{name}", topic(1)
    with closing(Consumer({"bootstrap.servers": servers, "group.id": old})) as consumer:
        consumer.commit(offsets=[TopicPartition(source, 1, 9)], asynchronous=False)

    assert run("copy", "--from-group", old) == [
        "partition|position|new|what it means",
        "1|none|9|had no position",
        "done",
    ]
    assert read_positions(writing) == {1: 9}
    with pytest.raises(KafkaSetupError, match=f"group nobody has no position in topic {source}"):
        run("copy", "--from-group", "nobody")

    with closing(Consumer({"bootstrap.servers": servers, "group.id": name})) as consumer:
        consumer.commit(offsets=[TopicPartition(other_topic, 0, 0)], asynchronous=False)
    with pytest.raises(SettingsError, match=rf"has positions in {other_topic}\[0\] too, and"):
        run("delete")
    assert len(read_group(servers, name)) == 2
    assert run("delete", "--query-name", old, "--dry-run")[-1].startswith("nothing was changed")


def test_a_group_is_deleted_as_a_whole(run: Run, writing: TransactionSettings) -> None:
    commit(writing, {0: 20, 1: 10}).close()

    assert run("delete") == [
        "partition|position|new|what it means",
        "0|20|none|has no position any more",
        "1|10|none|has no position any more",
        "done",
    ]
    assert read_positions(writing) == {}
    assert run("delete")[-1] == "done"  # a second time does no harm
