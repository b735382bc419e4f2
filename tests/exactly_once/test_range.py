"""A run with a start and an end answers this range of its topic, once, whatever kills it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Producer

from lib.errors import KafkaSetupError, ResumeRefusedError, SettingsError
from lib.kafka.admin import build_admin, read_offsets
from tests.exactly_once.copying import (
    PARTITIONS,
    Copying,
    as_bytes,
    delete_records,
    orders,
)
from tests.exactly_once.test_input_transactions import open_transaction
from tests.support.topics import read_topic

NOON = datetime(2025, 1, 23, 12, tzinfo=UTC)


def spell(offsets: dict[int, int]) -> str:
    return ",".join(f"{partition}:{offset}" for partition, offset in offsets.items())


def choose(copying: Copying, starts: dict[int, int], ends: dict[int, int]) -> Counter[bytes]:
    """Count the keys of the records of a range."""
    servers, source = copying.settings.bootstrap_servers, copying.settings.source_topic
    return Counter(
        as_bytes(it.key())
        for it in read_topic(servers, source)
        if starts[it.partition() or 0] <= (it.offset() or 0) < ends[it.partition() or 0]
    )


def answered(copying: Copying) -> Counter[bytes]:
    """Count the answers by key."""
    return Counter(key for key, _ in copying.read().elements())


def read_committed_offsets(copying: Copying) -> dict[int, int]:
    return {partition: offset for partition, (offset, _) in copying.committed().items()}


@pytest.mark.parametrize(("commit", "is_written"), [("driver", True), ("executor", False)])
def test_a_range_by_offsets_is_answered_once_whatever_kills_the_run(
    copying: Copying, commit: str, is_written: bool
) -> None:
    copying.produce(*orders(0, 200))
    # The ranges lie at different places; the last partition's is empty.
    starts, ends = {0: 3, 1: 20, 2: 0, 3: 7}, {0: 30, 1: 36, 2: 9, 3: 7}
    bounded = copying.change(
        commit=commit,
        starting_offsets=spell(starts),
        ending_offsets=spell(ends),
        max_offsets_per_trigger=60,
    )
    wanted = choose(copying, starts, ends)

    bounded.die_in_batch(is_written=is_written)
    bounded.die_in_batch(is_written=not is_written)
    sink = bounded.drain()

    assert wanted.total() == 27 + 16 + 9
    assert answered(copying) == wanted
    assert read_committed_offsets(copying) == ends
    assert sink.is_done
    copying.produce(*orders(400, 450))
    assert bounded.start_sink().is_done
    assert bounded.drain().failure is None
    assert answered(copying) == wanted


def test_a_longer_range_goes_on_exactly_where_the_shorter_one_ended(copying: Copying) -> None:
    copying.produce(*orders(0, 200))
    ends = dict.fromkeys(range(PARTITIONS), 20)
    copying.drain(ending_offsets="20")

    with pytest.raises(ResumeRefusedError, match="remove the checkpoint to resume at the group's"):
        copying.start_sink(ending_offsets="30")
    longer = copying.change(ending_offsets="30", checkpoint=f"{copying.settings.checkpoint}-2")
    assert longer.drain().is_done

    longer_ends = dict.fromkeys(ends, 30)
    assert answered(copying) == choose(copying, dict.fromkeys(ends, 0), longer_ends)
    assert read_committed_offsets(copying) == longer_ends


def test_a_day_is_answered_and_nothing_of_the_days_around_it(copying: Copying) -> None:
    servers, source = copying.settings.bootstrap_servers, copying.settings.source_topic
    producer = Producer({"bootstrap.servers": servers})
    for number in range(96):  # one an hour, four days from noon on, in partitions in turn
        key, time = f"h{number}".encode(), NOON + timedelta(hours=number)
        time_ms = int(time.timestamp() * 1000)
        producer.produce(source, b"order", key, partition=number % 3, timestamp=time_ms)
    assert producer.flush(30) == 0

    day = copying.change(starting_offsets="2025-01-24", ending_offsets="2025-01-25")
    assert day.drain().is_done

    assert answered(copying) == Counter(f"h{number}".encode() for number in range(12, 36))
    # The last partition is empty, and so is its range.
    assert read_committed_offsets(copying) == {0: 12, 1: 12, 2: 12, 3: 0}
    # Once the range is done, its records may go.
    delete_records(copying, {0: 10, 1: 10, 2: 10})
    assert day.start_sink().is_done


def test_ranges_that_would_not_stay_the_same_are_refused(copying: Copying) -> None:
    copying.produce(*orders(0, 100))
    servers, source = copying.settings.bootstrap_servers, copying.settings.source_topic
    latest = read_offsets(build_admin(copying.settings.cluster), source, "latest")

    for changes, message in (
        (
            {"ending_offsets": "2099-01-01"},
            r"the range ends at 2099-01-01T00:00:00\+00:00, in the",
        ),
        (
            {"ending_offsets": "0:1,1:1"},
            r"--ending-offsets names no offset for the partitions \[2,",
        ),
        (
            {"starting_offsets": "0:1"},
            r"--starting-offsets names no offset for the partitions \[1,",
        ),
        ({"ending_offsets": "1000"}, rf"\[0\] has no offset 1000: .* and it ends @{latest[0]}"),
        (
            {"starting_offsets": "5", "ending_offsets": "4"},
            r"\[0\] ends @4, before it begins, @5 \(correct --starting-offsets or",
        ),
        ({"ending_offsets": "soon"}, "ending_offsets: expected earliest, latest, an offset"),
    ):
        with pytest.raises(SettingsError, match=message):
            copying.start_sink(**changes)
    assert set(read_committed_offsets(copying).values()) == {-1001}

    with open_transaction(servers, source, b"in flight") as producer:
        with pytest.raises(KafkaSetupError, match=r"is open in the partitions \[0\] of"):
            # All of the records are older, which a time in whole seconds might not be.
            copying.start_sink(ending_offsets=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}")
        producer.abort_transaction(30)
