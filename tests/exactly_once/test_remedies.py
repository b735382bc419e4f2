"""People do what docs/refused_starts.md says, word for word: nothing is lost or repeated.

The commands come from the document; the test's topics, groups and offsets replace those in it. The
tests follow each refusal until a start is accepted.
"""

from __future__ import annotations

import random
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)
from pyspark.sql import functions as F

from jobs.offsets import manage_offsets
from lib.errors import ResumeRefusedError, SinkRejectedError
from lib.kafka.admin import build_admin
from lib.messages.columns import HEADERS_TYPE
from lib.settings.jobs.offsets import OffsetsSettings
from lib.settings.load import load_settings
from lib.sink.kafka import write_at_least_once
from lib.source.kafka import KafkaSourceSettings, read_stream
from tests.conftest import TopicFactory
from tests.docs.documents import read_section
from tests.exactly_once.copying import (
    COMMITS,
    PARTITIONS,
    Copying,
    answers,
    as_bytes,
    delete_group,
    delete_records,
    find_set_aside,
    orders,
    recreate_topic,
    small_arrow_batches,
)
from tests.support.consumer_groups import read_group
from tests.support.topics import read_topic
from tests.support.waiting import wait_until

REFUSALS, MIGRATION = "docs/refused_starts.md", "docs/migration.md"
TROUBLESHOOTING = "docs/troubleshooting.md"
STEPS = "Steps"
COMMAND = ".venv/bin/python jobs/offsets.py "
REFUSAL_1 = "Refusal 1: records were deleted unscored"
REFUSAL_2 = "Refusal 2: the group is behind the checkpoint"
CASES = "Which case is mine"
LOOKING = "Looking for the first record without an answer"


def find_commands(document: str, heading: str) -> list[str]:
    """Return the lines with ``jobs/offsets.py`` below a heading."""
    lines = map(str.strip, read_section(document, heading).splitlines())
    return [line for line in lines if line.startswith(COMMAND)]


def carry_out(
    copying: Copying,
    command: str,
    *,
    partition: int | None = None,
    offset: int | None = None,
    names: Mapping[str, str] | None = None,
) -> None:
    """Run a command of a document with the test's topic and groups."""
    settings = copying.settings
    own_names = {"telco.raw.customers": settings.source_topic, "churn-scoring": settings.query_name}
    for name, own in {**own_names, **(names or {})}.items():
        command = command.replace(name, own)
    if partition is not None:
        command = command.replace("--partitions 0", f"--partitions {partition}")
    if offset is not None:
        command = re.sub(r"--to \S+", f"--to {offset}", command)
    manage(copying, *shlex.split(command.removeprefix(COMMAND)))


def manage(copying: Copying, *arguments: str) -> None:
    """Run ``jobs/offsets.py`` on the test's broker, topic and group."""
    own = {
        "--bootstrap-servers": copying.settings.bootstrap_servers,
        "--query-name": copying.settings.query_name,
        "--input-topic": copying.settings.source_topic,
    }
    named = [f"{flag}={value}" for flag, value in own.items() if flag not in arguments]
    assert manage_offsets(load_settings(OffsetsSettings, [*arguments, *named], {})) == 0


def refuse(copying: Copying, **changes: Any) -> ResumeRefusedError:
    with pytest.raises(ResumeRefusedError) as refusal:
        copying.start_sink(**changes)
    return refusal.value


def find_unanswered(copying: Copying) -> dict[int, int]:
    """Return source partition → its first record without an answer, found as the document says."""
    answered = {key for key, _ in copying.read()}
    servers, source = copying.settings.bootstrap_servers, copying.settings.source_topic
    ends: dict[int, int] = {}
    for record in sorted(read_topic(servers, source), key=lambda m: m.offset() or 0):
        partition, offset = record.partition() or 0, record.offset() or 0
        if as_bytes(record.key()) in answered:
            ends[partition] = offset + 1
        else:
            ends.setdefault(partition, offset)
    return ends


def set_to_unanswered(copying: Copying) -> None:
    """Look for unanswered records, and set the group's offsets partition by partition."""
    command = find_commands(REFUSALS, LOOKING)[0]
    for partition, offset in find_unanswered(copying).items():
        carry_out(copying, command, partition=partition, offset=offset)


def drain_at_least_once(copying: Copying) -> None:
    """Answer all records that are there with Spark's own sink, on the same checkpoint."""
    settings = copying.settings
    source = KafkaSourceSettings(settings.cluster, settings.source_topic, "earliest", 300)
    messages = copying.messages(read_stream(copying.spark, source))
    messages = messages.withColumn("headers", F.lit(None).cast(HEADERS_TYPE))
    writer = write_at_least_once(messages, settings.cluster)
    writer = writer.option("checkpointLocation", settings.checkpoint)
    writer.trigger(availableNow=True).start().awaitTermination(120)


def test_records_that_were_deleted_unscored_are_given_up_and_no_others(copying: Copying) -> None:
    copying.produce(*orders(0, 200))
    copying.drain()
    copying.produce(*orders(200, 300))
    servers, source = copying.settings.bootstrap_servers, copying.settings.source_topic
    answered = {p: offset for p, (offset, _) in copying.committed().items()}
    # Partition 1 loses only records that were answered.
    cut = {0: answered[0] + 3, 1: answered[1] - 1, 2: answered[2] + 3}
    lost = {
        as_bytes(m.key())
        for m in read_topic(servers, source)
        for p, offset in [(m.partition() or 0, m.offset() or 0)]
        if answered[p] <= offset < cut.get(p, 0)
    }
    delete_records(copying, cut)
    (command,) = find_commands(REFUSALS, REFUSAL_1)

    found = re.search(r"\[(\d)\]@\d+, but the oldest", refuse(copying).message)
    assert found is not None
    carry_out(copying, command, partition=int(found[1]))
    # The remedy in the other refusal works as well.
    refusal = refuse(copying)
    hint = re.search(r"jobs/offsets\.py (set .+)$", refusal.hint)
    assert hint is not None
    manage(copying, *hint[1].split())
    copying.drain()

    assert len(lost) == 6
    kept = {it: n for it, n in answers(0, 300).items() if it[0] not in lost}
    assert copying.read() == Counter(kept)


@COMMITS
def test_a_group_that_was_set_back_to_score_records_again_scores_just_these(
    copying: Copying, checkpoint: Path, commit: str, caplog: pytest.LogCaptureFixture
) -> None:
    copying.produce(*orders(0, 200))
    copying.drain(commit=commit)
    keys = list_keys(copying, 0)
    command = find_commands(REFUSALS, LOOKING)[0]
    carry_out(copying, command, partition=0, offset=0)

    copying.drain(commit=commit)
    copying.produce(*orders(200, 300))
    copying.drain(commit=commit)

    assert f"jobs/offsets.py has set {copying.settings.source_topic}[0]@0, and" in caplog.text
    assert len(find_set_aside(checkpoint)) == 1

    twice = {it: n + (it[0] in keys) for it, n in answers(0, 300).items()}
    assert copying.read() == Counter(twice)


@pytest.mark.parametrize("is_noted", [True, False], ids=["noted by Spark", "not noted"])
def test_a_group_that_was_set_back_by_mistake_goes_on_where_it_was(
    copying: Copying, is_noted: bool
) -> None:
    copying.produce(*orders(0, 200))
    copying.drain()
    if not is_noted:
        copying.produce(*orders(200, 300))
        copying.die_in_batch(is_written=True)
    copying.commit_by_hand({0: 0, 1: 0})
    command = find_commands(REFUSALS, LOOKING)[0]
    unanswered = find_unanswered(copying)

    accepted: str | None = copying.find_acceptance()
    for partition in range(2):
        refusal = refuse(copying, accept_offsets=accepted)
        found = re.search(
            r"\[(\d)\]@0, but the checkpoint's batch \d starts @(\d+)", refusal.message
        )
        assert found is not None
        assert int(found[1]) == partition
        # If Spark has not noted the batch, going on from its start would be wrong.
        assert (unanswered[partition] == int(found[2])) == is_noted
        carry_out(copying, command, partition=partition, offset=unanswered[partition])
        accepted = None if partition else copying.find_acceptance()
    copying.produce(*orders(300, 400) if not is_noted else orders(200, 400))
    copying.drain()

    assert copying.read() == answers(0, 400)


def test_a_checkpoint_of_its_own_in_place_of_one_that_was_made_elsewhere(
    copying: Copying, tmp_path: Path
) -> None:
    copying.produce(*orders(0, 200))
    other = replace(copying.settings, query_name=f"{copying.settings.query_name}-other")
    replace(copying, settings=other, output=copying.failed).drain(
        checkpoint=str(tmp_path / "other")
    )
    quiet = copying.read()
    copying.drain(checkpoint=str(tmp_path / "own"))
    copying.produce(*orders(200, 300))

    refusal = refuse(copying, checkpoint=str(tmp_path / "other"))
    assert "was committed by another query" in refusal.message
    copying.drain(checkpoint=str(tmp_path / "own"))

    assert copying.read() - quiet == answers(0, 300)


def test_the_delivery_may_change_there_and_back(copying: Copying) -> None:
    copying.produce(*orders(0, 100))
    copying.drain()
    copying.produce(*orders(100, 200))
    drain_at_least_once(copying)
    copying.produce(*orders(200, 300))

    refusal = refuse(copying)
    assert "offsets would never be scored" in refusal.message
    carry_out(copying, find_commands(REFUSALS, REFUSAL_2)[-1])
    copying.drain()

    assert copying.read() == answers(0, 300)


@pytest.mark.parametrize(
    ("commit", "is_written"), [("driver", True), ("driver", False), ("executor", True)]
)
def test_a_batch_of_which_nobody_knows_is_looked_for_and_the_group_set(
    copying: Copying, commit: str, is_written: bool
) -> None:
    copying.produce(*orders(0, 100))
    copying.drain(commit=commit)
    copying.produce(*orders(100, 200))
    copying.die_in_batch(is_written=is_written, commit=commit)
    delete_group(copying.settings)

    follow_refusal_3(copying, commit=commit)

    assert copying.read() == answers(0, 200)


def test_a_batch_of_which_a_part_was_written_goes_on_after_that_part(
    copying: Copying, topic: TopicFactory
) -> None:
    narrow = replace(copying, output=topic(1, {"max.message.bytes": "20000"}))
    large = (b"large", random.Random(1).randbytes(30_000).hex().upper().encode())
    copying.produce(*orders(0, 200))
    copying.produce(large)
    with small_arrow_batches(copying.spark, 10):  # each partition is written in pieces
        sink = narrow.start_sink(commit="executor", part_bytes=1)
        with narrow.running(sink) as query:
            wait_until(lambda: not query.isActive)
    assert isinstance(sink.failure, SinkRejectedError)
    written = {key for key, _ in narrow.read()}
    beside = next(keys for p in range(PARTITIONS) if b"large" in (keys := list_keys(copying, p)))
    assert written & beside  # its partition was written in part
    delete_group(copying.settings)

    raise_limit(copying, narrow.output)
    follow_refusal_3(narrow, commit="executor")

    assert narrow.read() == answers(0, 200) + Counter({large: 1})


def follow_refusal_3(copying: Copying, **changes: Any) -> None:
    """Do what the document says about refusal 3, and start."""
    refusal = refuse(copying, **changes)
    assert re.search(r"no committed offset for \S+\[\d\]", refusal.message)
    assert "may or may not have been written" in refusal.message
    set_to_unanswered(copying)
    copying.drain(**changes)


def test_a_query_gets_a_new_name_with_the_offsets_of_the_old_one(copying: Copying) -> None:
    copying.produce(*orders(0, 200))
    copying.drain()
    copying.produce(*orders(200, 300))
    copying.die_in_batch(is_written=True)
    copying.produce(*orders(300, 400))
    old, new = copying.settings.query_name, f"{copying.settings.query_name}-new"
    # Without the offsets the checkpoint's position is not taken.
    refusal = refuse(copying, query_name=new)
    assert refusal.message.startswith(
        f"the checkpoint belongs to query {old}, and group {new} has no committed offset for "
    )
    assert f"jobs/offsets.py copy --from-group {old} --query-name {new} " in refusal.hint
    renamed = copy_offsets(copying, new)

    renamed.drain()

    assert renamed.read() == answers(0, 400)


def copy_offsets(copying: Copying, name: str, **changes: Any) -> Copying:
    """Copy all positions to another group, as docs/migration.md says."""
    new = replace(copying, settings=replace(copying.settings, query_name=name, **changes))
    (command,) = find_commands(MIGRATION, STEPS)
    carry_out(new, command, names={"old-consumer": copying.settings.query_name})
    return new


def test_one_query_becomes_several_that_share_the_topic(copying: Copying, tmp_path: Path) -> None:
    copying.produce(*orders(0, 200))
    copying.drain()
    copying.produce(*orders(200, 300))
    copying.die_in_batch(is_written=True)
    copying.produce(*orders(300, 400))
    for number, partitions in enumerate(({0, 1}, {2, 3})):
        name = f"{copying.settings.query_name}-{number}"
        one = copy_offsets(
            copying, name, checkpoint=str(tmp_path / name), partitions=frozenset(partitions)
        )
        one.drain()

    assert copying.read() == answers(0, 400)


def test_a_job_takes_over_from_a_consumer_that_was_written_by_hand(copying: Copying) -> None:
    copying.produce(*orders(0, 200))
    settings = copying.settings
    old = f"old-{settings.query_name}"
    group = {"group.id": old, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    with closing(Consumer({"bootstrap.servers": settings.bootstrap_servers, **group})) as consumer:
        consumer.subscribe([settings.source_topic])
        seen = {as_bytes(m.key()) for m in consumer.consume(120, timeout=30)}
        consumer.commit(asynchronous=False)
    (command,) = find_commands(MIGRATION, STEPS)

    carry_out(copying, command, names={"old-consumer": old})
    copying.drain()

    assert len(seen) == 120
    assert copying.read() == Counter(
        {it: n for it, n in answers(0, 200).items() if it[0] not in seen}
    )


def test_a_consumer_that_joined_with_the_group_is_stopped_and_the_offsets_set_right(
    copying: Copying,
) -> None:
    copying.produce(*orders(0, 100))
    copying.drain()
    copying.produce(*orders(100, 200))
    settings = copying.settings
    group = {"group.id": settings.query_name, "auto.offset.reset": "latest"}
    with closing(Consumer({"bootstrap.servers": settings.bootstrap_servers, **group})) as consumer:
        consumer.subscribe([settings.source_topic])
        assert len(consumer.consume(50, timeout=30)) == 50
        consumer.commit(asynchronous=False)
        assert "consumers have subscribed with group" in refuse(copying).message

    assert "was not committed by this job" in refuse(copying).message
    set_to_unanswered(copying)
    copying.drain()

    assert copying.read() == answers(0, 200)


def test_two_jobs_that_shared_a_name_get_names_of_their_own(
    copying: Copying, topic: TopicFactory, tmp_path: Path
) -> None:
    copying.produce(*orders(0, 100))
    other = replace(copying, output=topic(1), failed=topic(1))
    settings = replace(copying.settings, query_name=f"{copying.settings.query_name}-other")
    replace(other, settings=settings).drain(checkpoint=str(tmp_path / "other"))
    copying.drain()
    copying.produce(*orders(100, 200))

    hint = refuse(other, checkpoint=str(tmp_path / "other")).hint
    assert hint.startswith("give each query its own --query-name and --checkpoint")
    replace(other, settings=settings).drain(checkpoint=str(tmp_path / "other"))
    copying.drain()

    assert copying.read() == answers(0, 200)
    assert other.read() == answers(0, 200)


def test_a_cluster_that_was_copied_with_its_offsets_is_accepted(copying: Copying) -> None:
    copying.produce(*orders(0, 100))
    copying.drain()
    copying.produce(*orders(100, 200))
    # A copied cluster has the same offsets and stamps, but another topic id.
    settings = copying.settings
    copied = [
        TopicPartition(
            settings.source_topic, p, offset, replace(stamp, topic_id="0" * 32).to_metadata()
        )
        for p, (offset, stamp) in copying.committed().items()
        if stamp is not None
    ]
    admin = build_admin(settings.cluster)
    asked = ConsumerGroupTopicPartitions(settings.query_name, copied)
    admin.alter_consumer_group_offsets([asked])[settings.query_name].result()

    assert "if this is a copy with the same offsets" in refuse(copying).hint
    copying.drain(accept_offsets=copying.find_acceptance())

    assert copying.read() == answers(0, 200)


def test_a_topic_that_was_recreated_is_begun_anew(copying: Copying, checkpoint: Path) -> None:
    copying.produce(*orders(0, 100))
    copying.drain()
    recreate_topic(copying)
    copying.produce(*orders(100, 200))

    refusal = refuse(copying)
    assert "it was deleted and recreated" in refusal.message
    shutil.rmtree(checkpoint)
    if read_group(copying.settings.bootstrap_servers, copying.settings.query_name):
        carry_out(copying, find_commands(REFUSALS, REFUSAL_2)[-1])
    copying.drain()

    assert copying.read() == answers(0, 200)


def test_everything_is_scored_anew_from_the_beginning(copying: Copying) -> None:
    copying.produce(*orders(0, 100))
    copying.drain()
    (command,) = find_commands(REFUSALS, CASES)
    carry_out(copying, command)
    copying.drain()

    assert copying.read() == Counter(dict.fromkeys(answers(0, 100), 2))


def test_another_place_for_the_checkpoint_and_more_partitions_need_nothing(
    copying: Copying, tmp_path: Path
) -> None:
    copying.produce(*orders(0, 100))
    copying.drain()
    copying.produce(*orders(100, 200))
    copying.die_in_batch(is_written=True)
    source = copying.settings.source_topic
    admin = build_admin(copying.settings.cluster)
    admin.create_partitions([NewPartitions(source, PARTITIONS + 2)])[source].result()
    wait_until(lambda: len(admin.list_topics(source).topics[source].partitions) == PARTITIONS + 2)
    copying.produce(*orders(200, 400))
    copying.drain(checkpoint=str(tmp_path / "elsewhere"))

    assert copying.read() == answers(0, 400)


def test_a_message_that_was_too_large_is_written_once_its_topic_takes_it(
    copying: Copying, topic: TopicFactory
) -> None:
    narrow = replace(copying, output=topic(1, {"max.message.bytes": "500"}))
    large = (b"large", b"%0999d" % 0)
    copying.produce(*orders(0, 100), large)
    sink = narrow.start_sink()
    with narrow.running(sink) as query:
        wait_until(lambda: not query.isActive)
    assert isinstance(sink.failure, SinkRejectedError)
    assert f"raise max.message.bytes of topic {narrow.output}" in str(sink.failure)

    raise_limit(copying, narrow.output)
    narrow.drain()

    assert narrow.read() == answers(0, 100) + Counter({large: 1})


def raise_limit(copying: Copying, topic: str) -> None:
    """Do what ``kafka-configs.sh --alter --add-config`` does in docs/troubleshooting.md."""
    text = read_section(TROUBLESHOOTING, "Message size too large")
    found = re.search(r"--add-config (\S+)=(\d+)", text)
    assert found is not None
    entry = ConfigEntry(found[1], found[2], incremental_operation=AlterConfigOpType.SET)
    admin = build_admin(copying.settings.cluster)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for answer in admin.incremental_alter_configs([resource]).values():
        answer.result()


def list_keys(copying: Copying, partition: int) -> set[bytes]:
    servers, source = copying.settings.bootstrap_servers, copying.settings.source_topic
    found = read_topic(servers, source)
    return {as_bytes(m.key()) for m in found if m.partition() == partition}


def test_a_damaged_checkpoint_without_offsets_of_the_group_is_replaced_by_a_look(
    copying: Copying, checkpoint: Path
) -> None:
    copying.produce(*orders(0, 100))
    copying.drain()
    copying.produce(*orders(100, 200))
    (checkpoint / "offsets" / "0").unlink()
    delete_group(copying.settings)
    assert "the checkpoint is damaged" in refuse(copying).message

    set_to_unanswered(copying)
    shutil.rmtree(checkpoint)
    copying.drain()

    assert copying.read() == answers(0, 200)
