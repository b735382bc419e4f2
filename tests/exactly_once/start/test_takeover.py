"""A run that takes a query over claims some things, refuses others before, and costs little."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks.threads import ThreadCount
from lib.errors import ResumeRefusedError, SettingsError, SinkFencedError
from lib.exactly_once.commit.partition_task import PartitionReport, PartitionTask
from lib.exactly_once.commit.partition_writers import (
    count_parallel,
    former_settings_of_partition,
    settings_of_partition,
)
from lib.exactly_once.offsets.stamp import Author, Committer, Stamp
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.exactly_once.transaction.writer import TransactionalWriter
from lib.kafka.admin import build_admin, read_topic_id
from lib.kafka.cluster import Cluster
from lib.messages.columns import MESSAGE_SCHEMA
from tests.conftest import TopicFactory
from tests.exactly_once.copying import COMMITS, PARTITIONS, Copying, add_partition, answers, orders
from tests.support.waiting import wait_until

NEW_RECORDS = ((b"new 1", b"new 1"), (b"new 2", b"new 2"))


@pytest.mark.parametrize("old", ["driver", "executor"])
@pytest.mark.parametrize("new", ["driver", "executor"])
def test_nobody_writes_a_partition_that_the_newest_run_has_not_claimed(
    copying: Copying, old: str, new: str
) -> None:
    """The topic grows after the takeover; the run that was replaced sees it first."""
    copying.produce(*orders(0, 20))
    copying.drain(commit=old)
    first = copying.start_sink(commit=old)
    second = copying.start_sink(commit=new)
    add_partition(copying, *NEW_RECORDS)
    copying.produce(*orders(20, 40))
    with copying.running(first) as query:
        wait_until(lambda: not query.isActive)
    assert isinstance(first.failure, SinkFencedError)
    assert copying.read() == answers(0, 20)

    with copying.running(second) as query:
        wait_until(lambda: copying.read().total() >= 42)
        wait_until(lambda: not query.status["isTriggerActive"])
    assert second.failure is None
    news = {(b"new 1", b"NEW 1"): 1, (b"new 2", b"NEW 2"): 1}
    assert copying.read() == answers(0, 40) + Counter(news)


def test_a_task_writes_nothing_to_a_partition_that_its_driver_has_not_claimed(
    copying: Copying,
) -> None:
    """The run had sent the task before it was replaced, for a partition without a stamp."""
    settings, servers = copying.settings, copying.settings.bootstrap_servers
    copying.start_sink(commit="executor").close()
    stamps = [stamp for _, stamp in copying.committed().values() if stamp is not None]
    seen = {p: stamp.to_metadata() for p, stamp in enumerate(stamps)}
    run = stamps[0].run_id
    copying.start_sink().close()
    add_partition(copying, *NEW_RECORDS)
    topic_id = read_topic_id(build_admin(Cluster(servers)), settings.source_topic)
    task = PartitionTask(
        settings,
        Author(run, topic_id, Committer.EXECUTOR),
        query_id="q",
        batch_id=1,
        starts={},
        ends={PARTITIONS: 2},
        seen=seen,
        map_in_arrow=iter,
    )
    row = {"topic": copying.output, "key": b"k", "source_partition": PARTITIONS}
    rows = pa.RecordBatch.from_pylist([{**row, "source_offset": 0}], MESSAGE_SCHEMA)
    (found,) = task(iter([rows]))

    assert sorted(seen) == list(range(PARTITIONS))
    report = PartitionReport.from_row(found.to_pylist()[0])
    assert report.error == "SinkTakenOverError"
    assert "has not claimed the partition" in (report.message or "")
    assert copying.read().total() == 0


@COMMITS
def test_a_start_signs_partitions_that_have_never_been_committed(
    copying: Copying, commit: str
) -> None:
    copying.produce(*orders(0, 40))
    copying.drain(commit=commit)
    add_partition(copying, *NEW_RECORDS)
    copying.start_sink(commit=commit).close()

    found = copying.committed(PARTITIONS + 1)
    assert found[PARTITIONS][0] == 0
    assert len({stamp.run_id for _, stamp in found.values() if stamp}) == 1
    assert all(isinstance(stamp, Stamp) for _, stamp in found.values())


@COMMITS
def test_a_start_that_is_refused_leaves_the_running_job_alone(
    copying: Copying, commit: str, tmp_path: Path
) -> None:
    """The start's checkpoint is another query's, so the stamps of the group are not its own."""
    elsewhere = {"checkpoint": str(tmp_path / "elsewhere"), "commit": commit}
    copying.produce(*orders(0, 20))
    copying.drain(**elsewhere)
    running = copying.start_sink(commit=commit)
    with copying.running(running) as query:
        copying.produce(*orders(20, 40))
        wait_until(lambda: copying.read() == answers(0, 40))
        with pytest.raises(ResumeRefusedError, match="committed by another query"):
            copying.start_sink(**elsewhere)
        copying.produce(*orders(40, 60))
        wait_until(lambda: copying.read() == answers(0, 60) or running.failure is not None)
        wait_until(lambda: not query.status["isTriggerActive"])

    assert running.failure is None


def test_a_start_on_many_partitions_takes_few_threads(
    copying: Copying, topic: TopicFactory
) -> None:
    """Commits on executors claim the partitions, and commits on the driver take them over."""
    many = replace(copying, settings=replace(copying.settings, source_topic=topic(240)))
    for commit in ("executor", "driver"):
        with ThreadCount() as threads:
            many.start_sink(commit=commit).close()
        assert 0 < threads.most <= 200
        signed = [stamp for _, stamp in many.committed(240).values() if stamp]
        assert len(signed) == 240
        assert {stamp.committer for stamp in signed} == {commit}


@pytest.mark.parametrize(("brokers", "parallel"), [(1, 16), (3, 15), (50, 2), (115, 1), (900, 1)])
def test_the_more_brokers_the_fewer_partitions_at_once(brokers: int, parallel: int) -> None:
    assert count_parallel(brokers) == parallel


def test_no_two_partitions_of_whatever_queries_share_a_transactional_id() -> None:
    one = TransactionSettings("localhost:9092", "a", "b-c")
    other = TransactionSettings("localhost:9092", "a-b", "c")

    assert settings_of_partition(one, 0).transactional_id == "a:b-c:0"
    assert settings_of_partition(other, 0).transactional_id == "a-b:c:0"
    with pytest.raises(SettingsError, match="'a:b' holds a colon"):
        TransactionSettings("localhost:9092", "a:b", "c")


@COMMITS
def test_a_task_of_a_former_release_is_fenced_by_its_former_id(
    copying: Copying, commit: str
) -> None:
    """The first start after an upgrade comes while the old release's last task still writes."""
    copying.produce(*orders(0, 40))
    former = former_settings_of_partition(copying.settings, 0)
    topic_id = read_topic_id(build_admin(former.cluster), copying.settings.source_topic)
    assert former.transactional_id == (
        f"{copying.settings.query_name}-{copying.settings.source_topic}-0"
    )
    stamp = Stamp("-", f"host:1:{uuid.uuid4().hex[:8]}", -1, topic_id, Committer.EXECUTOR)
    copying.commit_by_hand(dict.fromkeys(range(PARTITIONS), 0), stamp.to_metadata())

    def take_over(step: str) -> None:
        if step == "offsets_sent":
            copying.start_sink(commit=commit).close()

    task = TransactionalWriter(replace(former, on_step=take_over))
    task.open()
    late = {"topic": copying.output, "key": b"late", "value": b"LATE", "headers": None}
    row = {**late, "source_partition": 0, "source_offset": 0}
    with pytest.raises(SinkFencedError):
        task.write(pa.Table.from_pylist([row]), {0: 1}, batch_id=9, query_id="-")
    task.close()
    copying.drain(commit=commit)

    assert copying.read() == answers(0, 40)
