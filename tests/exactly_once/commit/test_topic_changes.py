"""The source topic is deleted, and perhaps recreated, while the query runs on a real broker."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql.streaming.query import StreamingQuery

from lib.background import Background
from lib.errors import ResumeRefusedError, SinkTopicChangedError
from lib.kafka.admin import build_admin, read_topic_id
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.stream.running_query import RunningQuery
from lib.stream.start import build_guard
from lib.stream.watch.restarts import RestartPolicy
from lib.stream.watch.stop_signal import StopSignal
from lib.telemetry.progress import BatchProgress, Totals
from tests.exactly_once.copying import (
    COMMITS,
    PARTITIONS,
    Copying,
    add_partition,
    answers,
    delete_records,
    delete_topic,
    find_set_aside,
    orders,
    recreate_topic,
)


class NoView:
    """A view that shows nothing."""

    def show(self, batch: BatchProgress, totals: Totals) -> None: ...

    def close(self, totals: Totals) -> None: ...


class StopOnce(Background):
    """A thread that asks the job to stop once enough is done."""

    def __init__(self, is_enough: Callable[[], bool], stop: StopSignal) -> None:
        super().__init__("stop-once")
        self._is_enough = is_enough
        self._stop = stop

    def _run(self) -> None:
        while not self._stopped.wait(0.2):
            if self._is_enough():
                self._stop.request("SIGTERM")
                return


def read_id(copying: Copying) -> str:
    admin = build_admin(copying.settings.cluster)
    return read_topic_id(admin, copying.settings.source_topic)


def recreate_with_more(copying: Copying) -> None:
    """Recreate the topic with more records, so that its offsets look like those expected next."""
    recreate_topic(copying)
    copying.produce(*orders(1_000, 1_500))


def run_with(
    copying: Copying,
    change: Callable[[Copying], None],
    is_enough: Callable[[], bool] = lambda: False,
) -> None:
    """Answer 100 records, change something before the next batch is planned, and run on."""
    copying.produce(*orders(0, 100))
    changed: list[bool] = []

    def on_step(step: str) -> None:
        # Before this step of a transaction, the committed offsets are not visible.
        if step != "committed" or changed:
            return
        if sum(offset for offset, _ in copying.committed().values()) == 100:
            changed.append(True)
            change(copying)

    sink = copying.build_sink(on_step=on_step)

    def start() -> StreamingQuery:
        return sink.write_stream(copying.messages(sink.start().read_stream())).start()

    settings = ScoreStreamSettings(
        bootstrap_servers=copying.settings.bootstrap_servers,
        input_topic=copying.settings.source_topic,
        output_topic=copying.output,
        dead_letter_topic=copying.failed,
    )
    query = RunningQuery(
        start, RestartPolicy(3), build_guard(copying.spark, settings), sink, judge=sink.judge
    )
    with StopSignal() as stop, StopOnce(is_enough, stop):
        query.start(stop)
        query.follow(NoView(), stop)


@COMMITS
def test_a_topic_that_is_recreated_between_two_batches_ends_the_job_with_both_ids(
    copying: Copying, commit: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Without this check, the new topic's first records would be left out as answered."""
    copying = copying.change(commit=commit)
    before = read_id(copying)
    with (
        caplog.at_level(logging.WARNING, "lib.stream.running_query"),
        pytest.raises(SinkTopicChangedError) as error,
    ):
        run_with(copying, recreate_with_more)

    after = read_id(copying)
    assert f"found topic id {after}, expected {before}" in error.value.message
    assert "remove the checkpoint" in error.value.hint
    assert "starting it again" not in caplog.text
    assert copying.read() == answers(0, 100)
    with pytest.raises(ResumeRefusedError, match=f"found topic id {after}, expected {before}"):
        copying.start_sink()


@COMMITS
def test_a_topic_that_is_deleted_is_named(
    copying: Copying, commit: str, caplog: pytest.LogCaptureFixture
) -> None:
    copying = copying.change(commit=commit)
    before = read_id(copying)
    reason = (
        f"topic {copying.settings.source_topic} was deleted while the query was running: there is"
        f" no topic of that name, expected topic id {before}"
    )
    with (
        caplog.at_level(logging.WARNING, "lib.stream.running_query"),
        pytest.raises(SinkTopicChangedError, match=reason),
    ):
        run_with(copying, delete_topic)
    assert "starting it again" not in caplog.text


NEW = PARTITIONS  # the number of the partition that is added


def add_trimmed_partition(copying: Copying) -> None:
    """Add a partition with the records 0 to 19, of which retention deletes the first 8."""
    add_partition(copying, *((b"new%d" % number, b"order") for number in range(20)))
    delete_records(copying, {NEW: 8})


def answers_of_new(first: int) -> Counter[tuple[bytes, bytes]]:
    return Counter((b"new%d" % number, b"ORDER") for number in range(first, 20))


def count_told(caplog: pytest.LogCaptureFixture, copying: Copying) -> int:
    topic, group = copying.settings.source_topic, copying.settings.query_name
    return caplog.text.count(
        f"{topic}[{NEW}] was never read by group {group}: it begins at its oldest record, @8; 8"
        " offsets before it were not there to be read"
    )


@COMMITS
def test_a_start_reads_a_new_partition_that_was_trimmed_from_its_oldest_record(
    copying: Copying, checkpoint: Path, commit: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Spark alone would log "added partition starts from 8 instead of 0" at every start."""
    copying.produce(*orders(0, 100))
    copying.drain(commit=commit)
    add_trimmed_partition(copying)
    with caplog.at_level(logging.WARNING, "lib.exactly_once.start.takeover"):
        copying.drain(commit=commit)

    assert count_told(caplog, copying) == 1
    assert copying.read() == answers(0, 100) + answers_of_new(8)
    assert len(find_set_aside(checkpoint)) == 1


@COMMITS
def test_a_running_query_that_meets_a_trimmed_partition_starts_itself_again(
    copying: Copying, checkpoint: Path, commit: str, caplog: pytest.LogCaptureFixture
) -> None:
    copying = copying.change(commit=commit)
    expected = answers(0, 100) + answers_of_new(8)
    with caplog.at_level(logging.WARNING, "lib"):
        run_with(copying, add_trimmed_partition, lambda: copying.read() == expected)

    assert copying.read() == expected
    assert caplog.text.count("starting it again in") == 1
    assert len(find_set_aside(checkpoint)) == 1


def test_partitions_may_be_widened_on_a_topic_past_its_retention(
    copying: Copying, checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    few, all_of_them = frozenset(range(PARTITIONS)), frozenset(range(NEW + 1))
    copying.produce(*orders(0, 100))
    copying.drain(partitions=few)
    add_trimmed_partition(copying)
    copying.drain(partitions=few)
    with caplog.at_level(logging.WARNING, "lib.exactly_once.start.takeover"):
        copying.drain(partitions=all_of_them)

    assert count_told(caplog, copying) == 1
    assert copying.read() == answers(0, 100) + answers_of_new(8)
    assert len(find_set_aside(checkpoint)) == 1


def test_a_running_query_whose_unread_records_are_deleted_ends_with_their_number(
    copying: Copying, caplog: pytest.LogCaptureFixture
) -> None:
    def fall_behind(copying: Copying) -> None:
        copying.produce(*orders(100, 200))
        ends = {p: offset for p, (offset, _) in copying.committed().items()}
        delete_records(copying, {0: ends[0] + 3})

    with (
        caplog.at_level(logging.WARNING, "lib"),
        pytest.raises(ResumeRefusedError, match=r"\[0\]@\d+, .*: 3 offsets were deleted unscored"),
    ):
        run_with(copying, fall_behind)
    assert copying.read() == answers(0, 100)
