"""The sink works under any query: no model, no customers, both commit strategies, a real broker."""

from __future__ import annotations

import logging
import random
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka import OFFSET_INVALID, Consumer, Producer
from pyspark import TaskContext
from pyspark.sql import functions as F

from lib.errors import (
    PlanRefusedError,
    ResumeRefusedError,
    SinkError,
    SinkFencedError,
    SinkRejectedError,
    SinkRetryExhaustedError,
    SinkTakenOverError,
)
from lib.exactly_once.commit.base import ArrowMap
from lib.exactly_once.commit.partition_task import PartitionReport, PartitionTask
from lib.exactly_once.commit.partition_writers import settings_of_partition
from lib.exactly_once.offsets.stamp import Author, Committer, make_run_id
from lib.exactly_once.sink import ExactlyOnceSink
from lib.exactly_once.transaction.produce import add_counts
from lib.exactly_once.transaction.writer import TransactionalWriter
from lib.messages.columns import HEADERS_ARROW, MESSAGE_SCHEMA
from tests.conftest import TopicFactory
from tests.exactly_once.copying import (
    COMMITS,
    PARTITIONS,
    Copying,
    answers,
    as_bytes,
    delete_group,
    orders,
    recreate_topic,
    small_arrow_batches,
)
from tests.exactly_once.writing import cut_connections
from tests.support.topics import read_topic
from tests.support.waiting import wait_until


@COMMITS
def test_every_record_is_answered_once_over_batches_and_restarts(
    copying: Copying, commit: str
) -> None:
    copying.produce(*orders(0, 700))
    copying.drain(commit=commit)
    copying.produce(*orders(700, 1_000))
    copying.drain(commit=commit)

    assert copying.read() == answers(0, 1_000)
    offsets = copying.committed()
    assert sum(offset for offset, _ in offsets.values()) == 1_000
    assert {stamp.committer for _, stamp in offsets.values() if stamp} == {commit}


@COMMITS
def test_messages_may_be_made_in_the_worker_that_writes_them(copying: Copying, commit: str) -> None:
    output, failed = copying.output, copying.failed

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            records = batch.to_pydict()
            values = [value.upper() for value in records["source_value"]]
            count = batch.num_rows
            yield pa.RecordBatch.from_pydict(
                {
                    "topic": [failed if value == b"FAILED" else output for value in values],
                    "key": records["source_key"],
                    "value": values,
                    "headers": pa.nulls(count, HEADERS_ARROW),
                    "source_topic": pa.nulls(count, pa.string()),
                    "source_partition": batch["source_partition"],
                    "source_offset": batch["source_offset"],
                }
            )

    copying.produce(*orders(0, 700))
    sink = copying.start_sink(commit=commit)
    records = sink.read_stream().drop("source_headers")
    query = sink.write_stream(records, make).trigger(availableNow=True).start()
    query.awaitTermination(120)
    sink.close()

    assert copying.read() == answers(0, 700)
    reports = [sink.find_report(batch_id) for batch_id in range(3)]
    counts = add_counts(*(report.answered for report in reports if report is not None))
    assert counts == {output: 630, failed: 70}
    assert sink.find_report(3) is None


def test_records_without_any_message_are_answered_too(copying: Copying) -> None:
    def drop_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield batch.slice(0, 0)

    copying.produce(*orders(0, 100))
    sink = copying.drain_through(drop_all)

    assert sink.failure is None
    assert copying.read() == Counter()
    assert sum(offset for offset, _ in copying.committed().values()) == 100


def test_what_fails_while_messages_are_made_writes_nothing(copying: Copying) -> None:
    def fail_late(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from batches
        raise ValueError("no more messages")

    copying.produce(*orders(0, 100))
    sink = copying.drain_through(fail_late)

    assert sink.failure is not None
    assert "ValueError in a Python worker (test_exactly_once.py, line" in sink.failure.message
    assert copying.read() == Counter()
    copying.drain(commit="executor")
    assert copying.read() == answers(0, 100)


def test_a_task_holds_no_more_than_it_should(copying: Copying) -> None:
    copying.produce(*orders(0, 200))
    sink = copying.drain(commit="executor", part_bytes=500)

    assert copying.read() == answers(0, 200)
    report = sink.find_report(0)
    assert report is not None
    assert sum(report.written.values()) == 200


def test_pieces_that_a_task_wrote_before_it_failed_are_not_written_again(copying: Copying) -> None:
    def refuse_late(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(batches):
            rows = batch.to_pylist()
            if number == 2:  # the value is larger than its topic allows
                rows[0]["value"] = random.Random(1).randbytes(1_500_000).hex()
            yield pa.RecordBatch.from_pylist(rows, batch.schema)

    # Each message is a transaction of its own.
    copying.produce(*orders(0, 40))
    with small_arrow_batches(copying.spark, 3):
        sink = copying.drain_through(refuse_late, part_bytes=1)
    written = copying.read()
    copying.drain(commit="executor")

    assert isinstance(sink.failure, SinkRejectedError)
    assert 0 < written.total() < 40
    assert copying.read() == answers(0, 40)


def test_what_the_hint_about_rows_out_of_order_says_loses_no_row(copying: Copying) -> None:
    """If a piece were committed before rows are known to be out of order, rows would be lost."""

    def put_first_last(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        first = next(batches)
        yield from batches
        yield first

    copying.produce(*orders(0, 400))
    with small_arrow_batches(copying.spark, 10):
        refused = copying.drain_through(put_first_last, part_bytes=1)
        written = copying.read()
        copying.drain_through(put_first_last, part_bytes=1_000_000)

    assert isinstance(refused.failure, PlanRefusedError)
    assert "raise --part-bytes (found 1)" in str(refused.failure)
    assert written == Counter()
    assert copying.read() == answers(0, 400)


def test_a_batch_that_has_failed_twice_is_weighed_and_written_in_parts(
    copying: Copying, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(step: str) -> None:
        # The first transaction of a start is its claim.
        steps.append(step)
        if steps.count("begun") == 2:
            raise SinkRetryExhaustedError("the driver is out of memory")

    copying.produce(*orders(0, 200))
    for _ in range(3):
        steps: list[str] = []
        sink = copying.build_sink(on_step=fail).start()
        with copying.running(sink) as query:
            wait_until(lambda: not query.isActive)
        assert "in halves" not in caplog.text
    with caplog.at_level(logging.WARNING, "lib.exactly_once.commit.driver"):
        copying.drain(part_bytes=1_000)

    # The 200 orders of about 12 bytes make three parts: one half, and two halves of the other half.
    assert caplog.text.count("in halves") == 3
    assert copying.read() == answers(0, 200)


@COMMITS
def test_a_lost_checkpoint_is_harmless(copying: Copying, commit: str, tmp_path: Path) -> None:
    copying.produce(*orders(0, 200))
    copying.drain(commit=commit)
    copying.produce(*orders(200, 400))
    copying.drain(commit=commit, checkpoint=str(tmp_path / "another"))

    assert copying.read() == answers(0, 400)


@pytest.mark.parametrize("order", [("driver", "executor"), ("executor", "driver")])
def test_the_strategy_may_change_between_two_starts(
    copying: Copying, order: tuple[str, str]
) -> None:
    for number, commit in enumerate(order):
        copying.produce(*orders(number * 200, number * 200 + 200))
        copying.drain(commit=commit)

    assert copying.read() == answers(0, 400)


@COMMITS
def test_idle_partitions_have_offsets_too(copying: Copying, commit: str) -> None:
    copying.produce((b"only", b"one"))
    copying.drain(commit=commit)

    assert sorted(offset for offset, _ in copying.committed().values()) == [0, 0, 0, 1]


@COMMITS
def test_the_ends_of_a_batch_count_the_marks_of_transactions_too(
    copying: Copying, commit: str
) -> None:
    """A topic may end at offsets without a record; an end at the last record would leave a lag."""
    servers, source = copying.settings.bootstrap_servers, copying.settings.source_topic
    producer = Producer({"bootstrap.servers": servers, "transactional.id": f"feed-{source}"})
    producer.init_transactions(30)
    for number in range(3):
        producer.begin_transaction()
        producer.produce(source, key=b"k", value=b"%d" % number, partition=1)
        producer.commit_transaction(30)
    copying.drain(commit=commit)

    assert copying.committed()[1][0] == 6  # there are three records and three marks
    assert sum(copying.read().values()) == 3


@COMMITS
def test_a_second_driver_takes_over_and_the_first_says_by_whom(
    copying: Copying, commit: str, tmp_path: Path
) -> None:
    copying.produce(*orders(0, 100))
    first = copying.start_sink(commit=commit)
    with copying.running(first) as query:
        wait_until(lambda: copying.read() == answers(0, 100))
        second = copying.start_sink(commit=commit, checkpoint=str(tmp_path / "second"))
        copying.produce(*orders(100, 200))
        wait_until(lambda: not query.isActive)
        with copying.running(second):
            wait_until(lambda: copying.read() == answers(0, 200))

    assert isinstance(first.failure, SinkFencedError)
    assert "by run " in first.failure.message
    assert copying.read() == answers(0, 200)


def start_replaced_driver(copying: Copying, tmp_path: Path) -> ExactlyOnceSink:
    """Start a driver, answer 100 orders, and let a second driver take over from it."""
    copying.produce(*orders(0, 100))
    copying.drain(commit="executor")
    old = copying.start_sink(commit="executor")
    copying.start_sink(commit="executor", checkpoint=str(tmp_path / "second")).close()
    return old


def test_a_task_of_a_driver_that_was_replaced_writes_nothing(
    copying: Copying, tmp_path: Path
) -> None:
    old = start_replaced_driver(copying, tmp_path)
    copying.produce(*orders(100, 200))

    with copying.running(old) as query:
        wait_until(lambda: not query.isActive)
    assert isinstance(old.failure, SinkTakenOverError)
    assert copying.read() == answers(0, 100)


@COMMITS
def test_offsets_that_are_deleted_while_it_runs_are_committed_again(
    copying: Copying, commit: str
) -> None:
    copying.produce(*orders(0, 100))
    sink = copying.start_sink(commit=commit)
    with copying.running(sink):
        wait_until(lambda: copying.read() == answers(0, 100))
        before = copying.committed()
        delete_group(copying.settings)
        copying.produce((b"only", b"one"))
        wait_until(lambda: copying.read().total() == 101)
        wait_until(lambda: sum(offset for offset, _ in copying.committed().values()) == 101)
    copying.produce(*orders(100, 200))
    copying.drain(commit=commit)

    assert all(offset >= before[p][0] for p, (offset, _) in copying.committed().items())
    assert copying.read() == answers(0, 200) + Counter({(b"only", b"ONE"): 1})


def test_a_driver_that_was_replaced_does_not_commit_deleted_offsets_again(
    copying: Copying, tmp_path: Path
) -> None:
    """No stamp is left that shows its tasks the takeover, but its own producer is fenced too."""
    old = start_replaced_driver(copying, tmp_path)
    delete_group(copying.settings)
    copying.produce(*orders(100, 200))

    with copying.running(old) as query:
        wait_until(lambda: not query.isActive)
    assert isinstance(old.failure, SinkFencedError)
    assert copying.read() == answers(0, 100)
    assert {offset for offset, _ in copying.committed().values()} == {OFFSET_INVALID}


def test_offsets_that_are_lost_while_a_task_writes_are_not_made_up(copying: Copying) -> None:
    """Pieces were written, and only the offset could tell how many."""
    committed: list[str] = []

    def lose_offsets(step: str) -> None:
        committed.extend([step] if step == "committed" else [])
        if step == "committed" and len(committed) == 2:
            wait_until(lambda: copying.committed()[0][0] == 2)
            delete_group(settings)
            cut_connections(settings.bootstrap_servers)  # the writer renews its producer after this

    settings = replace(copying.settings, part_bytes=1)
    watched = replace(settings, on_step=lose_offsets)
    row = {"topic": copying.output, "value": b"v", "source_partition": 0}
    batches = [
        pa.RecordBatch.from_pylist(
            [{**row, "key": b"%d" % offset, "source_offset": offset}], MESSAGE_SCHEMA
        )
        for offset in range(4)
    ]
    author = Author(make_run_id())
    with closing(TransactionalWriter(settings_of_partition(settings, 0), author=author)) as driver:
        driver.open()
        driver.claim({0: 0}, query_id="q")
        seen = dict(driver.stamps)
    task = PartitionTask(watched, author, "q", 0, {0: 0}, {0: 4}, seen, map_in_arrow=iter)
    (found,) = task(iter(batches))

    report = PartitionReport.from_row(found.to_pylist()[0])
    assert (report.error, report.may_restore) == ("SinkOffsetsGoneError", False)
    assert "has lost its offsets of the partitions [0]" in str(report.message)
    assert copying.read() == Counter({(b"0", b"v"): 1, (b"1", b"v"): 1})


@pytest.mark.parametrize("attempt", [0, 1])
def test_only_a_first_attempt_has_written_nothing_for_sure(copying: Copying, attempt: int) -> None:
    author = Author(make_run_id())
    with closing(
        TransactionalWriter(settings_of_partition(copying.settings, 0), author=author)
    ) as earlier:
        earlier.open()
        earlier.claim({0: 0}, query_id="q")
        seen = dict(earlier.stamps)
    delete_group(copying.settings)
    row = {"topic": copying.output, "key": b"k", "source_partition": 0, "source_offset": 0}
    batch = pa.RecordBatch.from_pylist([row], MESSAGE_SCHEMA)
    task = PartitionTask(copying.settings, author, "q", 0, {0: 0}, {0: 1}, seen, map_in_arrow=iter)
    context = TaskContext._getOrCreate()
    context._attemptNumber = attempt
    try:
        (found,) = task(iter([batch]))
    finally:
        TaskContext._taskContext = None

    report = PartitionReport.from_row(found.to_pylist()[0])
    assert report.error == "SinkOffsetsGoneError"
    assert report.may_restore == (attempt == 0)
    assert copying.read() == Counter()


def test_a_driver_fences_what_executors_have_begun(copying: Copying, tmp_path: Path) -> None:
    """Commits move from executors to the driver while an old task is still writing."""
    copying.produce(*orders(0, 100))
    copying.drain(commit="executor")
    offset, _ = copying.committed()[0]
    copying.produce(*orders(100, 200))
    started: list[ExactlyOnceSink] = []

    def take_over(step: str) -> None:
        if step == "produced" and not started:
            started.append(copying.start_sink(checkpoint=str(tmp_path / "second")))

    task = TransactionalWriter(
        replace(settings_of_partition(copying.settings, 0), on_step=take_over)
    )
    task.open()
    late = {"topic": copying.output, "key": b"late", "value": b"LATE", "headers": None}
    row = {**late, "source_partition": 0, "source_offset": offset}
    with pytest.raises(SinkFencedError):
        task.write(pa.Table.from_pylist([row]), {0: offset + 1}, batch_id=9, query_id="old")
    started[0].close()
    copying.drain(checkpoint=str(tmp_path / "second"))

    assert copying.read() == answers(0, 200)


@pytest.mark.parametrize(
    ("step", "times", "outcomes"),
    [
        pytest.param("initialised", 1, {"committed"}, id="before any partition is claimed"),
        pytest.param(
            "begun", 1, {"committed", "SinkTakenOverError"}, id="while partitions are claimed"
        ),
        pytest.param("begun", PARTITIONS + 1, {"SinkTakenOverError"}, id="when all are claimed"),
    ],
)
def test_a_task_that_begins_while_a_driver_takes_over_writes_before_it_or_not_at_all(
    copying: Copying, tmp_path: Path, step: str, times: int, outcomes: set[str]
) -> None:
    """Commits move from executors to the driver while the old driver starts tasks."""
    copying.produce(*orders(0, 100))
    copying.drain(commit="executor")
    (offset, stamp), servers = copying.committed()[0], copying.settings.bootstrap_servers
    assert stamp is not None
    copying.produce(*orders(100, 200))
    (next_one,) = (
        message
        for message in read_topic(servers, copying.settings.source_topic)
        if (message.partition(), message.offset()) == (0, offset)
    )
    value = as_bytes(next_one.value()).upper()
    row = {
        "topic": copying.failed if value == b"FAILED" else copying.output,
        "key": next_one.key(),
        "value": value,
        "headers": None,
        "source_partition": 0,
        "source_offset": offset,
    }
    steps, found, lock = Counter[str](), list[str](), threading.Lock()

    def run_task(reached: str) -> None:
        with lock:
            steps[reached] += 1
            if found or reached != step or steps[step] < times:
                return
            found.append("committed")
        task = TransactionalWriter(
            settings_of_partition(copying.settings, 0),
            author=Author(stamp.run_id, stamp.topic_id, Committer.EXECUTOR),
            seen={0: stamp.to_metadata()},
        )
        try:
            task.open()
            task.write(pa.Table.from_pylist([row]), {0: offset + 1}, batch_id=9, query_id="old")
        except SinkError as error:
            found[0] = type(error).__name__
        task.close()

    copying.start_sink(checkpoint=str(tmp_path / "second"), on_step=run_task).close()
    copying.drain(checkpoint=str(tmp_path / "second"))

    assert outcomes.issuperset(found)
    assert len(found) == 1
    assert copying.read() == answers(0, 200)


@COMMITS
def test_a_start_ends_the_transactions_of_dead_tasks_instead_of_waiting(
    copying: Copying, tmp_path: Path, commit: str
) -> None:
    copying.produce(*orders(0, 100))
    copying.drain(commit="executor")
    seconds: list[float] = []

    def start_next(step: str) -> None:
        if step == "offsets_sent":
            started_s = time.monotonic()
            copying.start_sink(commit=commit, checkpoint=str(tmp_path / "second")).close()
            seconds.append(time.monotonic() - started_s)

    task = TransactionalWriter(
        replace(settings_of_partition(copying.settings, 0), on_step=start_next)
    )
    task.open()
    with pytest.raises(SinkFencedError):
        task.write(None, {0: 1_000}, batch_id=9, query_id="old")

    assert seconds[0] < copying.settings.transaction_timeout_s / 2
    assert copying.committed()[0][0] < 1_000


def test_a_message_that_is_refused_for_good_is_named_by_the_task(
    copying: Copying, topic: TopicFactory
) -> None:
    tiny = topic(1, {"max.message.bytes": "500"})
    copying.produce((b"k", random.Random(1).randbytes(2_000).hex().encode()))
    sink = replace(copying, output=tiny).start_sink(commit="executor")
    with replace(copying, output=tiny).running(sink) as query:
        wait_until(lambda: not query.isActive)

    assert isinstance(sink.failure, SinkRejectedError)
    assert "source partition" in sink.failure.message
    assert "max.message.bytes" in str(sink.failure)


@COMMITS
def test_a_message_for_the_topic_that_is_read_is_refused_before_anything_is_written(
    copying: Copying, commit: str
) -> None:
    source = copying.settings.source_topic
    looping = replace(copying, failed=source)
    copying.produce((b"k", b"failed"))
    sink = looping.start_sink(commit=commit)
    with looping.running(sink) as query:
        wait_until(lambda: not query.isActive)

    assert isinstance(sink.failure, PlanRefusedError)
    assert sink.failure.message.endswith(
        f"1 of 1 messages are addressed to {source}, which the query reads: it would answer its own"
        " messages without end"
    )
    assert sink.failure.hint == "send them to another topic; nothing of this batch was written"
    assert [m.value() for m in read_topic(copying.settings.bootstrap_servers, source)] == [
        b"failed"
    ]
    assert sum(offset for offset, _ in copying.committed().values()) == 0


def test_queries_over_disjoint_partitions_share_a_topic(copying: Copying, tmp_path: Path) -> None:
    copying.produce(*orders(0, 400))
    for name, partitions in (("low", {0, 1}), ("high", {2, 3})):
        copying.drain(
            query_name=f"{copying.settings.query_name}-{name}",
            checkpoint=str(tmp_path / name),
            partitions=frozenset(partitions),
        )

    assert copying.read() == answers(0, 400)


@COMMITS
def test_a_checkpoint_may_lie_on_another_file_system(
    copying: Copying, commit: str, tmp_path: Path
) -> None:
    configuration: Any = copying.spark.sparkContext._jsc.hadoopConfiguration()
    mount = f"mounts-{uuid.uuid4().hex[:8]}"
    configuration.set(f"fs.viewfs.mounttable.{mount}.link./remote", f"file://{tmp_path}")
    remote = f"viewfs://{mount}/remote/checkpoint"
    copying.produce(*orders(0, 400))
    copying.drain(commit=commit, checkpoint=remote)
    copying.produce(*orders(400, 500))
    copying.drain(commit=commit, checkpoint=remote)

    assert copying.read() == answers(0, 500)
    assert (tmp_path / "checkpoint" / "offsets" / "0").is_file()


def test_offsets_that_were_moved_by_hand_are_refused_until_just_these_are_accepted(
    copying: Copying, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copying.produce(*orders(0, 100))
    copying.drain()
    copying.commit_by_hand(dict.fromkeys(range(PARTITIONS), 0))
    fresh = {"checkpoint": str(tmp_path / "fresh")}

    with pytest.raises(ResumeRefusedError, match=r"set by hand.*--accept-offsets"):
        copying.start_sink(**fresh)
    accepted = copying.find_acceptance(**fresh)
    copying.drain(**fresh, accept_offsets=accepted)
    assert copying.read() == answers(0, 100) + answers(0, 100)

    copying.drain(**fresh)  # the offsets are stamped now
    with caplog.at_level(logging.WARNING, "lib.exactly_once.start.takeover"):
        copying.drain(**fresh, accept_offsets=accepted)
    assert f"--accept-offsets {accepted} is not needed" in caplog.text

    copying.commit_by_hand(dict.fromkeys(range(PARTITIONS), 1))
    with pytest.raises(ResumeRefusedError, match=f"{accepted} accepts other offsets than these"):
        copying.start_sink(checkpoint=str(tmp_path / "third"), accept_offsets=accepted)


def test_offsets_of_another_query_are_refused(copying: Copying, tmp_path: Path) -> None:
    copying.produce(*orders(0, 100))
    copying.drain()
    copying.drain(checkpoint=str(tmp_path / "second"))
    copying.produce(*orders(100, 200))
    copying.drain(checkpoint=str(tmp_path / "second"))

    with pytest.raises(ResumeRefusedError, match="committed by another query: found query id"):
        copying.start_sink()


def test_a_topic_that_was_made_anew_is_refused(copying: Copying) -> None:
    copying.produce(*orders(0, 100))
    copying.drain()
    recreate_topic(copying)
    # The new topic is longer than the old one: only its id differs.
    copying.produce(*orders(0, 500))

    with pytest.raises(ResumeRefusedError, match="was made with another topic"):
        copying.start_sink()


def test_a_group_that_somebody_subscribed_to_is_refused(copying: Copying) -> None:
    copying.produce(*orders(0, 100))
    group = {"group.id": copying.settings.query_name, "auto.offset.reset": "earliest"}
    consumer = Consumer({"bootstrap.servers": copying.settings.bootstrap_servers, **group})
    consumer.subscribe([copying.settings.source_topic])
    assert consumer.poll(30) is not None

    with pytest.raises(ResumeRefusedError, match=r"1 consumers have subscribed with group"):
        copying.start_sink()
    consumer.close()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda frame: frame.repartition(8), r"operator Repartition, which may move rows"),
        (lambda frame: frame.coalesce(1), r"operator Repartition"),
        (lambda frame: frame.dropDuplicates(["key"]), r"operator Deduplicate"),
    ],
)
def test_a_plan_that_moves_rows_is_refused_for_commits_on_executors(
    copying: Copying, change: Any, reason: str
) -> None:
    sink = copying.start_sink(commit="executor")
    messages = change(copying.messages(sink.read_stream()))

    with pytest.raises(PlanRefusedError, match=reason):
        sink.write_stream(messages)
    sink.close()


@COMMITS
def test_a_plan_with_state_is_refused_before_the_query_starts(
    copying: Copying, commit: str
) -> None:
    """Counts of a window come a batch late, and would be taken for messages written before."""
    sink = copying.start_sink(commit=commit)
    records = sink.read_stream().withWatermark("source_timestamp", "0 seconds")
    window = F.window("source_timestamp", "1 second")
    counts = records.groupBy(window, "source_partition").agg(
        F.count("*").cast("string").alias("value"), F.max("source_offset").alias("source_offset")
    )
    messages = counts.select(
        F.lit(copying.output).alias("topic"),
        *(F.col("value").alias("key"), "value", "source_partition", "source_offset"),
    )

    with pytest.raises(PlanRefusedError, match="the operator Aggregate, which may keep rows"):
        sink.write_stream(messages)
    sink.close()


@COMMITS
def test_a_message_for_a_record_of_an_earlier_batch_ends_the_query(
    copying: Copying, commit: str
) -> None:
    copying.produce(*orders(0, 100))
    copying.drain(commit=commit)
    copying.produce(*orders(100, 200))
    sink = copying.start_sink(commit=commit)
    before = F.col("source_offset") - 1
    late = copying.messages(sink.read_stream()).withColumn("source_offset", before)
    query = sink.write_stream(late).trigger(availableNow=True).start()
    wait_until(lambda: not query.isActive)
    sink.close()

    assert sink.failure is not None
    source = copying.settings.source_topic
    place = rf"answers the record {source}\[(\d)\]@(\d+), but its batch starts @(\d+)"
    found = re.search(place, sink.failure.message)
    assert found is not None
    assert int(found[2]) == int(found[3]) - 1
    assert copying.read() == answers(0, 100)
    copying.drain(commit=commit)
    assert copying.read() == answers(0, 200)


@pytest.mark.parametrize("option", ["minPartitions", "maxRecordsPerPartition"])
def test_an_option_that_splits_partitions_is_refused_for_commits_on_executors(
    copying: Copying, option: str
) -> None:
    sink = copying.start_sink(commit="executor")
    source = {
        "kafka.bootstrap.servers": copying.settings.bootstrap_servers,
        "subscribe": copying.settings.source_topic,
        option: "16",
    }
    frame = copying.spark.readStream.format("kafka").options(**source).load()
    named = frame.selectExpr(
        "topic", "key", "value", "partition AS source_partition", "offset AS source_offset"
    )

    with pytest.raises(PlanRefusedError, match=f"the option {option}=16, which splits"):
        sink.write_stream(named)
    sink.close()


def test_speculation_is_refused_for_commits_on_executors(copying: Copying) -> None:
    sink = copying.start_sink(commit="executor")
    context: Any = copying.spark.sparkContext
    context._conf.set("spark.speculation", "true")
    try:
        with pytest.raises(PlanRefusedError, match=r"spark\.speculation is on"):
            sink.write_stream(copying.messages(sink.read_stream()))
    finally:
        context._conf.set("spark.speculation", "false")
        sink.close()


@pytest.mark.parametrize("map_in_arrow", [None, iter], ids=["messages", "what makes messages"])
def test_a_frame_without_the_source_position_is_refused(
    copying: Copying, map_in_arrow: ArrowMap | None
) -> None:
    sink = copying.start_sink()
    messages = copying.messages(sink.read_stream()).drop("source_offset")

    with pytest.raises(PlanRefusedError, match="no column source_offset; found topic, key"):
        sink.write_stream(messages, map_in_arrow)
    sink.close()


def test_commits_on_the_driver_take_no_more_tasks_than_run_at_once(copying: Copying) -> None:
    def tell_task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        assert context is not None
        task = b"%d" % context.partitionId()
        for batch in batches:
            rows = batch.select(["topic", "value", "source_partition", "source_offset"]).to_pylist()
            yield pa.RecordBatch.from_pylist([{**row, "key": task} for row in rows], MESSAGE_SCHEMA)

    slots = copying.spark.sparkContext.defaultParallelism
    copying.produce(*orders(0, 400))
    copying.drain_through(tell_task, commit="driver")

    assert slots < PARTITIONS
    assert {key for key, _ in copying.read()} == {b"%d" % task for task in range(slots)}
