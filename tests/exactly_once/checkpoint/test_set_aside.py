"""If a checkpoint cannot be used any more, the group's offsets say where to go on."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import pytest

from lib.errors import KafkaSetupError, ResumeRefusedError, SettingsError
from tests.exactly_once.checkpoint.damaging import damage
from tests.exactly_once.copying import (
    COMMITS,
    Copying,
    answers,
    as_bytes,
    delete_group,
    delete_records,
    find_set_aside,
    orders,
)
from tests.support.topics import read_topic

LOGGER = "lib.exactly_once.start.takeover"


@pytest.mark.parametrize(
    ("file", "how", "commit"),
    [
        ("commits/0", "empty", "driver"),
        ("offsets/0", "garbage", "executor"),
        ("offsets/0", "missing", "driver"),
        ("metadata", "truncated", "executor"),
        ("metadata", "missing", "driver"),
        ("exactly-once/topic-id", "empty", "driver"),
    ],
)
def test_a_damaged_checkpoint_is_set_aside_and_nothing_is_lost_or_repeated(
    copying: Copying,
    checkpoint: Path,
    caplog: pytest.LogCaptureFixture,
    file: str,
    how: str,
    commit: str,
) -> None:
    copying.produce(*orders(0, 200))
    copying.drain(commit=commit)
    copying.produce(*orders(200, 300))
    damage(checkpoint / file, how)
    with caplog.at_level(logging.WARNING, LOGGER):
        copying.drain(commit=commit)

    (aside,) = find_set_aside(checkpoint)
    (line,) = [record.message for record in caplog.records if record.name == LOGGER]
    assert f"checkpoint {checkpoint} cannot be used: {checkpoint}/{file} " in line
    assert f"it was renamed to {aside}, and the query goes on" in line
    assert copying.read() == answers(0, 300)
    # The new checkpoint is as good as any other.
    copying.produce(*orders(300, 400))
    copying.drain(commit=commit)
    assert copying.read() == answers(0, 400)
    assert find_set_aside(checkpoint) == [aside]


@COMMITS
def test_a_damaged_checkpoint_of_a_batch_that_spark_has_not_noted(
    copying: Copying, checkpoint: Path, commit: str
) -> None:
    copying.produce(*orders(0, 100))
    copying.drain(commit=commit)
    copying.produce(*orders(100, 200))
    copying.die_in_batch(is_written=True, commit=commit)
    damage(checkpoint / "offsets" / "1", "truncated")
    copying.produce(*orders(200, 300))
    copying.drain(commit=commit)

    assert len(find_set_aside(checkpoint)) == 1
    assert copying.read() == answers(0, 300)


def test_a_damaged_checkpoint_without_offsets_of_the_group_is_refused_and_kept(
    copying: Copying, checkpoint: Path
) -> None:
    copying.produce(*orders(0, 100))
    copying.drain()
    damage(checkpoint / "offsets" / "0", "empty")
    delete_group(copying.settings)

    with pytest.raises(
        ResumeRefusedError, match=r"checkpoint/offsets/0 is empty; and group query-"
    ):
        copying.start_sink()
    assert find_set_aside(checkpoint) == []
    assert copying.read() == answers(0, 100)


def test_a_checkpoint_that_cannot_be_written_is_refused_before_anything_is_claimed(
    copying: Copying, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    place = str(tmp_path / "file" / "checkpoint")

    reason = f"the checkpoint cannot be written: {place}/exactly-once: Not a directory"
    with pytest.raises(SettingsError, match=reason):
        copying.start_sink(checkpoint=place)
    assert {offset for offset, _ in copying.committed().values()} == {-1001}


def test_brokers_that_are_not_reached_are_named_as_by_the_jobs(copying: Copying) -> None:
    with pytest.raises(KafkaSetupError) as refusal:
        copying.start_sink(bootstrap_servers="127.0.0.1:1")

    assert refusal.value.message == (
        "no connection to Kafka: nothing listens at 127.0.0.1:1 (Connection refused)"
    )


@COMMITS
def test_retention_behind_an_answered_batch_costs_nothing(
    copying: Copying, checkpoint: Path, commit: str
) -> None:
    copying.produce(*orders(0, 100))
    copying.drain(commit=commit)
    copying.produce(*orders(100, 200))
    copying.die_in_batch(is_written=True, commit=commit)
    answered = {p: offset for p, (offset, _) in copying.committed().items()}
    delete_records(copying, {p: offset - 1 for p, offset in answered.items()})
    copying.produce(*orders(200, 300))
    copying.drain(commit=commit)

    assert copying.read() == answers(0, 300)
    assert len(find_set_aside(checkpoint)) == 1


def test_what_retention_deleted_unanswered_is_refused_and_its_remedy_repeats_nothing(
    copying: Copying, checkpoint: Path
) -> None:
    copying.produce(*orders(0, 100))
    copying.drain()
    copying.produce(*orders(100, 200))
    source, servers = copying.settings.source_topic, copying.settings.bootstrap_servers
    place = {as_bytes(m.key()): (m.partition(), m.offset()) for m in read_topic(servers, source)}
    answered = copying.committed()[0][0]
    delete_records(copying, {0: answered + 2})

    reason = rf"is at {source}\[0\]@{answered}, but .* @{answered + 2}: 2 offsets were deleted"
    with pytest.raises(ResumeRefusedError, match=reason):
        copying.start_sink()
    copying.commit_by_hand({0: answered + 2})
    copying.drain(accept_offsets=copying.find_acceptance())

    lost = {key for key, at in place.items() if at in ((0, answered), (0, answered + 1))}
    assert len(lost) == 2
    expected = Counter({it: n for it, n in answers(0, 200).items() if it[0] not in lost})
    assert copying.read() == expected
    assert len(find_set_aside(checkpoint)) == 1
