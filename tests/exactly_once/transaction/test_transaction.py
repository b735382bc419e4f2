"""The transactional writer works on a real broker."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from lib.errors import (
    KafkaSetupError,
    SinkClockError,
    SinkError,
    SinkFencedError,
    SinkOffsetsGoneError,
    SinkRejectedError,
    SinkRetryExhaustedError,
)
from lib.exactly_once.offsets.stamp import Stamp
from lib.exactly_once.transaction.writer import TransactionalWriter, WriteReport
from lib.kafka.admin import build_admin
from lib.kafka.cluster import Cluster
from lib.kafka.topics import create_topics
from lib.tools.broker import Broker, EmbeddedBroker
from tests.conftest import TopicFactory
from tests.exactly_once.writing import Setting, build_setting, cut_connections, write
from tests.support.topics import produce, read_topic
from tests.support.waiting import wait_until


@pytest.fixture
def setting(broker: Broker, topic: TopicFactory) -> Setting:
    return build_setting(broker.bootstrap_servers, topic(2), topic(1))


@pytest.fixture
def writer(setting: Setting) -> Iterator[TransactionalWriter]:
    opened = setting.writer()
    opened.open()
    yield opened
    opened.close()


def test_messages_and_offsets_are_written_together(
    setting: Setting, writer: TransactionalWriter
) -> None:
    report = write(writer, setting.messages([3, 4]), {0: 7, 1: 2}, batch_id=5)

    assert report.written == {setting.output: 2}
    assert setting.keys() == [b"0@3", b"0@4"]
    # This is the end of the batch, not the last row + 1: transaction markers leave gaps in a topic.
    assert {p: offset for p, (offset, _) in setting.committed().items()} == {0: 7, 1: 2}
    stamp = Stamp.from_metadata(setting.committed()[0][1])
    assert stamp is not None
    assert (stamp.query_id, stamp.batch_id) == ("q", 5)


def test_a_batch_that_was_committed_is_not_written_again(
    setting: Setting, writer: TransactionalWriter
) -> None:
    write(writer, setting.messages(range(3)), {0: 3, 1: 0})
    writer.close()

    restarted = setting.writer()
    restarted.open()
    report = write(restarted, setting.messages(range(5)), {0: 5, 1: 0})
    restarted.close()

    assert (report.already_written, report.written) == ({setting.output: 3}, {setting.output: 2})
    assert setting.keys() == [b"0@0", b"0@1", b"0@2", b"0@3", b"0@4"]


def test_a_whole_repeated_batch_needs_no_transaction(
    setting: Setting, writer: TransactionalWriter
) -> None:
    write(writer, setting.messages(range(3)), {0: 3, 1: 0}, batch_id=1)
    report = write(writer, setting.messages(range(3)), {0: 3, 1: 0}, batch_id=2)

    assert (report.already_written, report.written) == ({setting.output: 3}, {})
    stamp = Stamp.from_metadata(setting.committed()[0][1])
    assert stamp is not None
    assert stamp.batch_id == 1


def test_idle_partitions_are_committed_again_so_that_they_do_not_expire(
    setting: Setting, writer: TransactionalWriter
) -> None:
    write(writer, None, {0: 0, 1: 9}, batch_id=0)
    write(writer, setting.messages([0]), {0: 1}, batch_id=1)

    offset, metadata = setting.committed()[1]
    stamp = Stamp.from_metadata(metadata)
    assert stamp is not None
    assert (offset, stamp.batch_id) == (9, 1)


def test_offsets_never_move_backwards(setting: Setting, writer: TransactionalWriter) -> None:
    write(writer, None, {0: 50, 1: 0})
    write(writer, setting.messages([60]), {0: 61, 1: 0}, batch_id=1)
    write(writer, None, {0: 10, 1: 4}, batch_id=2)

    assert {p: offset for p, (offset, _) in setting.committed().items()} == {0: 61, 1: 4}


def test_an_error_right_after_a_commit_does_not_let_offsets_move_backwards(
    setting: Setting,
) -> None:
    """A run that ends signs its offsets once more: those after the batch, not those before it."""

    def fail(step: str) -> None:
        if step == "committed":
            raise RuntimeError("right after the commit")

    writer = setting.writer(on_step=fail)
    writer.open()
    with pytest.raises(RuntimeError, match="right after the commit"):
        write(writer, setting.messages([0, 1, 2]), {0: 3, 1: 0})
    writer.renew({0: 0, 1: 0}, query_id="query", is_last=True)
    writer.close()

    assert setting.committed()[0][0] == 3
    assert setting.keys() == [b"0@0", b"0@1", b"0@2"]


def test_headers_and_null_values_arrive(setting: Setting, writer: TransactionalWriter) -> None:
    headers = [{"key": "a", "value": b"\xff"}, {"key": "b", "value": None}]
    tombstone = setting.messages([0], headers=headers).set_column(
        2, "value", pa.array([None], pa.binary())
    )
    write(writer, tombstone, {0: 1, 1: 0})

    (message,) = read_topic(setting.servers, setting.output)
    assert message.value() is None
    assert message.headers() == [("a", b"\xff"), ("b", None)]


def test_more_messages_than_the_queue_takes_are_all_written_in_order(setting: Setting) -> None:
    writer = setting.writer(kafka={"queue.buffering.max.messages": "300000"})
    writer.open()
    report = write(writer, setting.messages(range(450_000)), {0: 450_000, 1: 0})
    writer.close()

    assert report.written == {setting.output: 450_000}
    assert setting.keys() == [f"0@{offset}".encode() for offset in range(450_000)]


def test_a_queue_that_is_too_small_aborts_instead_of_losing(setting: Setting) -> None:
    writer = setting.writer(kafka={"queue.buffering.max.messages": "1000"}, attempts=2)
    writer.open()
    with pytest.raises(SinkRetryExhaustedError, match="failed 2 times"):
        write(writer, setting.messages(range(20_000)), {0: 20_000, 1: 0})
    writer.close()

    assert setting.keys() == []
    assert setting.committed()[0][0] < 0


def test_a_message_that_its_topic_refuses_is_final_and_leaves_nothing(
    setting: Setting, writer: TransactionalWriter
) -> None:
    small = setting.messages([0])
    large = setting.messages([1], value=random.Random(1).randbytes(3_000_000))
    with pytest.raises(SinkRejectedError) as error:
        write(writer, pa.concat_tables([small, large]), {0: 2, 1: 0})

    query = setting.transaction.query_name
    refused = f"batch 0 of query {query}: Kafka refuses it: MSG_SIZE_TOO_LARGE "
    assert str(error.value).startswith(refused)
    assert str(error.value).endswith(
        f", topic {setting.output} (raise max.message.bytes of topic {setting.output})"
    )
    assert setting.keys() == []
    assert setting.committed()[0][0] < 0
    # The transaction was aborted: readers see the next message at once, not after a timeout.
    produce(setting.servers, setting.output, [(b"next", b"v")])
    assert setting.keys() == [b"next"]
    with pytest.raises(SinkRejectedError):  # the error stays final
        write(writer, small, {0: 1, 1: 0})


def test_messages_that_are_refused_for_their_time_are_written_when_the_clock_is_right(
    setting: Setting,
) -> None:
    refused: list[str] = []

    def refuse_once(step: str) -> None:
        if step == "produced" and not refused:
            refused.append(step)
            raise KafkaException(KafkaError(KafkaError.INVALID_TIMESTAMP))

    with closing(setting.writer(on_step=refuse_once)) as writer:
        writer.open()
        with pytest.raises(SinkClockError, match="set the clock of this machine"):
            write(writer, setting.messages([0]), {0: 1, 1: 0})
        assert setting.keys() == []
        write(writer, setting.messages([0]), {0: 1, 1: 0})

    assert setting.keys() == [b"0@0"]


def test_an_output_topic_that_is_deleted_is_named(setting: Setting) -> None:
    # The client looks for a topic that is gone for 30 s by default.
    kafka = {"topic.metadata.propagation.max.ms": "500"}
    with closing(setting.writer(kafka=kafka, transaction_timeout_s=6.0)) as writer:
        writer.open()
        write(writer, setting.messages([0]), {0: 1, 1: 0})
        admin = build_admin(setting.transaction.cluster)
        admin.delete_topics([setting.output])[setting.output].result()
        with pytest.raises(SinkRejectedError) as error:
            write(writer, setting.messages([1]), {0: 2, 1: 0}, batch_id=1)

    assert f", topic {setting.output} (create topic {setting.output}, which" in str(error.value)


def test_a_refusal_is_final_at_once_whichever_call_comes_next(setting: Setting) -> None:
    """The call that fails after a refusal returns errors that would otherwise be worth a retry."""
    refused = setting.messages(range(3), value=random.Random(1).randbytes(1_500_000))
    begun = []
    for pause_ms in range(0, 40, 4):

        def note(step: str, pause_s: float = pause_ms / 1_000) -> None:
            begun.extend([pause_s] if step == "begun" else [])
            time.sleep(pause_s if step == "produced" else 0)

        writer = setting.writer(on_step=note)
        writer.open()
        with pytest.raises(SinkRejectedError, match="MSG_SIZE_TOO_LARGE"):
            write(writer, refused, {0: 3, 1: 0})

    assert begun == sorted(set(begun))


def test_an_older_writer_is_fenced_and_stays_so(
    setting: Setting, writer: TransactionalWriter
) -> None:
    write(writer, setting.messages([0]), {0: 1, 1: 0})
    newer = setting.writer()
    newer.open()
    write(newer, setting.messages([1]), {0: 2, 1: 0}, batch_id=1)

    for _ in range(2):
        with pytest.raises(SinkFencedError, match=r"fenced by run \S+, batch 1 .*_FENCED"):
            write(writer, setting.messages([1]), {0: 2, 1: 0}, batch_id=1)
    write(newer, setting.messages([2]), {0: 3, 1: 0}, batch_id=2)
    newer.close()

    assert setting.keys() == [b"0@0", b"0@1", b"0@2"]


def test_a_writer_that_renews_its_producer_does_not_steal_the_query_back(
    setting: Setting,
) -> None:
    older = setting.writer()
    older.open()
    write(older, setting.messages([0]), {0: 1, 1: 0})
    cut_connections(setting.servers)  # the writer renews its producer after this
    newer = setting.writer()
    newer.open()
    write(newer, setting.messages([1]), {0: 2, 1: 0}, batch_id=1)

    with pytest.raises(SinkFencedError, match=r"taken over: partition 0 .* by run \S+, batch 1"):
        write(older, setting.messages([1]), {0: 2, 1: 0}, batch_id=1)
    write(newer, setting.messages([2]), {0: 3, 1: 0}, batch_id=2)
    newer.close()


def test_a_claim_tells_the_older_writer_who_took_over_before_anything_is_written(
    setting: Setting, writer: TransactionalWriter
) -> None:
    write(writer, setting.messages([0]), {0: 1, 1: 0})
    newer = setting.writer()
    newer.open()
    newer.claim({}, query_id="q")
    newer.close()

    with pytest.raises(SinkFencedError, match=r"fenced by run \S+, batch -1 "):
        write(writer, setting.messages([1]), {0: 2, 1: 0}, batch_id=1)
    assert {p: offset for p, (offset, _) in setting.committed().items()} == {0: 1, 1: 0}
    assert setting.keys() == [b"0@0"]


def test_what_the_older_writer_commits_until_it_is_fenced_is_seen(
    setting: Setting, writer: TransactionalWriter
) -> None:
    """A writer must fence first and then read what is committed; otherwise it reads too little."""

    def commit_late(step: str) -> None:
        if step == "opening":
            write(writer, setting.messages([0]), {0: 1, 1: 0})

    newer = setting.writer(on_step=commit_late)
    newer.open()
    report = write(newer, setting.messages([0, 1]), {0: 2, 1: 0})
    newer.close()

    assert (report.already_written, report.written) == ({setting.output: 1}, {setting.output: 1})
    assert setting.keys() == [b"0@0", b"0@1"]


@pytest.mark.parametrize("headers", [None, [{"key": "a", "value": b"b"}]])
def test_an_error_while_the_queue_is_emptied_counts_too(
    setting: Setting, writer: TransactionalWriter, headers: Any
) -> None:
    newer = setting.writer()
    newer.open()
    newer.claim({0: 0, 1: 0}, query_id="q")
    newer.close()

    # There are more messages than the queue takes at once, so the first error comes from flush,
    # before the commit.
    with pytest.raises(SinkFencedError):
        write(writer, setting.messages(range(250_000), headers=headers), {0: 250_000, 1: 0})
    assert setting.keys() == []


def delete_offsets(setting: Setting) -> None:
    admin = AdminClient({"bootstrap.servers": setting.servers})
    name = setting.transaction.query_name
    admin.delete_consumer_groups([name])[name].result()
    assert setting.committed()[1][0] < 0


def test_a_new_producer_does_not_make_up_offsets_that_are_gone(setting: Setting) -> None:
    writer = setting.writer()
    writer.open()
    write(writer, setting.messages([0]), {0: 1, 1: 9})
    cut_connections(setting.servers)  # the writer renews its producer after this
    delete_offsets(setting)

    with pytest.raises(SinkOffsetsGoneError, match=r"lost its offsets of the partitions \[0, 1\]"):
        write(writer, setting.messages([1]), {0: 2, 1: 9}, batch_id=1)
    assert setting.keys() == [b"0@0"]


def test_the_next_commit_restores_a_group_that_was_deleted(
    setting: Setting, writer: TransactionalWriter
) -> None:
    write(writer, setting.messages([0]), {0: 1, 1: 9})
    delete_offsets(setting)

    write(writer, setting.messages([1]), {0: 2, 1: 9}, batch_id=1)
    assert {p: offset for p, (offset, _) in setting.committed().items()} == {0: 2, 1: 9}


def test_a_claim_commits_what_the_group_lacks_and_never_moves_it_back(setting: Setting) -> None:
    writer = setting.writer()
    writer.open()
    write(writer, setting.messages([0]), {0: 7})
    writer.claim({0: 3, 1: 5}, query_id="q")
    writer.close()

    assert {p: offset for p, (offset, _) in setting.committed().items()} == {0: 7, 1: 5}


def test_only_the_named_partitions_are_touched(setting: Setting) -> None:
    writer = setting.writer(partitions=frozenset({1}))
    writer.open()
    assert writer.committed == {1: None}
    write(writer, setting.messages([0], partition=1), {1: 1})
    writer.close()

    assert setting.committed()[0][0] < 0
    with pytest.raises(KafkaSetupError, match=r"has 2 partitions, without \[7\]"):
        setting.writer(partitions=frozenset({1, 7})).open()


def test_rows_beyond_the_batch_are_refused(setting: Setting, writer: TransactionalWriter) -> None:
    with pytest.raises(SinkError, match=r"answers the record \S+\[0\]@5, but its batch ends @5"):
        write(writer, setting.messages([4, 5]), {0: 5, 1: 0})


def test_a_stuck_call_is_abandoned_and_the_batch_written_by_a_new_producer(
    setting: Setting,
) -> None:
    stuck = threading.Event()
    calls: list[str] = []

    def hang_once(step: str) -> None:
        calls.append(step)
        if step == "offsets_sent" and calls.count(step) == 1:
            stuck.wait(300)

    writer = setting.writer(stuck_after_s=2.0, on_step=hang_once)
    writer.open()
    started = time.monotonic()
    report = write(writer, setting.messages(range(3)), {0: 3, 1: 0})
    assert time.monotonic() - started < 100

    # The stuck thread wakes up and tries to commit, but it has been fenced.
    stuck.set()
    time.sleep(1)
    writer.close()
    assert report.written == {setting.output: 3}
    assert setting.keys() == [b"0@0", b"0@1", b"0@2"]


def test_a_transaction_that_the_broker_ended_for_its_length_is_no_takeover(
    setting: Setting,
) -> None:
    """The broker fences the producer just as another producer would."""
    waited: list[str] = []

    def wait_once(step: str) -> None:
        if step == "produced" and not waited:
            waited.append(step)
            # Readers see a later message only when the transaction before it has ended.
            produce(setting.servers, setting.output, [(b"later", b"v")])
            wait_until(lambda: setting.keys() == [b"later"])

    writer = setting.writer(transaction_timeout_s=1.0, claim_wait_s=0.0, on_step=wait_once)
    writer.open()
    report = write(writer, setting.messages(range(3)), {0: 3, 1: 0})
    writer.close()

    assert waited
    assert report.written == {setting.output: 3}
    assert setting.keys() == [b"later", b"0@0", b"0@1", b"0@2"]


def test_a_lost_connection_is_followed_by_a_new_producer(setting: Setting) -> None:
    steps: list[str] = []
    writer = setting.writer(on_step=steps.append)
    writer.open()
    writer.claim({0: 0, 1: 0}, query_id="q")
    assert writer.committed == {0: 0, 1: 0}
    write(writer, setting.messages([0]), {0: 1, 1: 0})
    assert steps.count("initialised") == 1
    cut_connections(setting.servers)
    write(writer, setting.messages([1]), {0: 2, 1: 0}, batch_id=1)
    write(writer, setting.messages([2]), {0: 3, 1: 0}, batch_id=2)
    writer.close()

    assert steps.count("initialised") == 2
    assert setting.keys() == [b"0@0", b"0@1", b"0@2"]


def test_a_writer_whose_rival_died_before_its_claim_goes_on(setting: Setting) -> None:
    with closing(setting.writer(claim_wait_s=1.0)) as writer:
        writer.open()
        write(writer, setting.messages([0]), {0: 1, 1: 0})
        rival = setting.writer()
        rival.open()
        rival.close()
        write(writer, setting.messages([1]), {0: 2, 1: 0}, batch_id=1)

    assert setting.keys() == [b"0@0", b"0@1"]


def test_a_writer_waits_for_the_claim_of_who_has_fenced_it(setting: Setting) -> None:
    fenced, claimed = threading.Event(), threading.Event()
    with closing(setting.writer(claim_wait_s=60.0)) as writer, closing(setting.writer()) as rival:
        writer.open()
        write(writer, setting.messages([0]), {0: 1, 1: 0})
        rival.open()

        def claim() -> None:
            fenced.wait(60)
            time.sleep(1)
            rival.claim({}, query_id="q")
            claimed.set()

        threading.Thread(target=claim).start()
        fenced.set()
        with pytest.raises(SinkFencedError, match=r"fenced by run \S+, batch -1 "):
            write(writer, setting.messages([1]), {0: 2, 1: 0}, batch_id=1)
        assert claimed.wait(60)
        write(rival, setting.messages([1]), {0: 2, 1: 0}, batch_id=1)

    assert setting.keys() == [b"0@0", b"0@1"]


def test_a_producer_that_never_signs_is_not_fenced_for_ever(setting: Setting) -> None:
    """Another application has taken the same transactional id, but with a different group."""
    strangers: list[Producer] = []

    def fence(step: str) -> None:
        if step == "begun" and written:
            identity = {"transactional.id": setting.transaction.query_name, "log_level": 0}
            strangers.append(Producer({"bootstrap.servers": setting.servers, **identity}))
            strangers[-1].init_transactions(30)

    written: list[WriteReport] = []
    with closing(setting.writer(claim_wait_s=0.0, reopen_limit=2, on_step=fence)) as writer:
        writer.open()
        written.append(write(writer, setting.messages([0]), {0: 1, 1: 0}))
        with pytest.raises(SinkFencedError, match="fenced by another producer with the same"):
            write(writer, setting.messages([1]), {0: 2, 1: 0}, batch_id=1)

    assert len(strangers) == 3
    assert setting.keys() == [b"0@0"]


def test_a_stuck_producer_keeps_no_messages_and_ends_with_its_thread(setting: Setting) -> None:
    stuck, calls = threading.Event(), []

    def hang_once(step: str) -> None:
        calls.append(step)
        if step == "produced" and calls.count(step) == 1:
            stuck.wait(60)

    # Messages wait in the client for as long as possible.
    patient = {"linger.ms": "50000", "message.max.bytes": "1000000"}
    before = list_producers()
    with closing(setting.writer(kafka=patient, stuck_after_s=4.0, on_step=hang_once)) as writer:
        writer.open()
        write(writer, setting.messages(range(3)), {0: 3, 1: 0})
        with_stuck = [producer for producer in list_producers() if producer not in before]
        assert [len(producer) for producer in with_stuck] == [0, 0]
        del with_stuck
        stuck.set()
        wait_until(lambda: len(list_producers()) == len(before) + 1)

    assert setting.keys() == [b"0@0", b"0@1", b"0@2"]


def list_producers() -> list[Producer]:
    """Return the producers of this process that something still refers to."""
    gc.collect()
    return [it for it in gc.get_objects() if isinstance(it, Producer)]


def test_a_write_that_is_given_up_ends_at_once_and_leaves_nothing(setting: Setting) -> None:
    hanging, release = threading.Event(), threading.Event()

    def hang(step: str) -> None:
        if step == "produced":
            hanging.set()
            release.wait(60)

    writer = setting.writer(on_step=hang)
    writer.open()

    def give_up() -> None:
        hanging.wait(60)
        writer.give_up()

    threading.Thread(target=give_up).start()
    with pytest.raises(SinkRetryExhaustedError, match="failed 1 times, at last with: batch 0 was"):
        write(writer, setting.messages([0]), {0: 1, 1: 0})
    with closing(setting.writer()) as next_writer:
        next_writer.open()
        assert next_writer.committed == {0: None, 1: None}
    release.set()
    assert setting.keys() == []


def test_the_broker_dies_and_comes_back(
    crashable_broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    servers = crashable_broker.bootstrap_servers
    create_topics(Cluster(servers), {"in": 2, "out": 1})
    setting = build_setting(servers, "in", "out")
    writer = setting.writer(stuck_after_s=20.0, request_timeout_s=5.0)
    writer.open()
    write(writer, setting.messages([0]), {0: 1, 1: 0})

    crashable_broker.kill()
    crashable_broker.restart()
    write(writer, setting.messages([0, 1]), {0: 2, 1: 0}, batch_id=1)
    writer.close()

    assert setting.keys() == [b"0@0", b"0@1"]
    assert setting.committed()[0][0] == 2
    # The client does not wait for ever for its lost coordinator; the watchdog did not have to help.
    assert "did not return" not in caplog.text
