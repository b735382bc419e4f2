"""The driver is killed with -9; whoever reads committed messages must not notice."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from lib.sinks.checkpoint import parse_offsets
from tests.end_to_end.jobs import JOB_TIMEOUT_S, SCORE_STREAM, Deployment, run_job, start_job
from tests.topics import Account, Record, build_customers, produce, read_topic, take_account

DYING_JOB = str(Path(__file__).with_name("dying_job.py"))
RECORDS = 4_000
# Several batches for each source partition, so that a kill has a before and an after.
BATCH = 500


@pytest.fixture
def records(deployment: Deployment) -> list[Record]:
    """Customers in the input topic, two in a hundred broken."""
    records = build_customers(RECORDS, bad_share=0.02, seed=3)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    return records


def die_at(deployment: Deployment, step: str, times: int) -> None:
    """Run the job until it kills itself at a step."""
    arguments = deployment.arguments(max_offsets_per_trigger=BATCH)
    environment = {"CRASH_STEP": step, "CRASH_AT": str(times)}
    with start_job(arguments, DYING_JOB, environment) as process:
        _, errors = process.communicate(timeout=JOB_TIMEOUT_S)
    assert process.returncode == -signal.SIGKILL, errors


def finish(deployment: Deployment, delivery: str = "exactly-once") -> None:
    """Start the job again and let it drain the topic."""
    done = run_job(deployment.arguments(max_offsets_per_trigger=BATCH, delivery=delivery))
    assert done.returncode == 0, done.stderr


def read_account(deployment: Deployment, records: list[Record]) -> Account:
    servers = deployment.bootstrap_servers
    return take_account(
        records,
        read_topic(servers, deployment.output_topic),
        read_topic(servers, deployment.dead_letter_topic),
    )


def latest_batch(checkpoint: Path, log: str) -> int:
    names = [path.name for path in (checkpoint / log).glob("[0-9]*")]
    return max(map(int, names), default=-1)


def end_of_batch(deployment: Deployment, batch_id: int) -> int:
    """Records up to the end of a batch, from Spark's offset log."""
    text = (deployment.checkpoint / "offsets" / str(batch_id)).read_text()
    return sum(parse_offsets(text, deployment.input_topic).values())


def count_answers(deployment: Deployment, records: list[Record]) -> int:
    account = read_account(deployment, records)
    return len(account.predictions) + len(account.dead_letters)


def test_killed_between_the_kafka_commit_and_sparks_commit_log(
    deployment: Deployment, records: list[Record]
) -> None:
    # The first commit seeds the group's offsets, so the fourth is that of the third batch.
    die_at(deployment, "committed", times=4)

    begun = latest_batch(deployment.checkpoint, "offsets")
    assert begun == latest_batch(deployment.checkpoint, "commits") + 1 == 2
    assert count_answers(deployment, records) == end_of_batch(deployment, begun) > 2 * BATCH
    finish(deployment)
    assert read_account(deployment, records).faults == {}


def test_killed_inside_an_open_transaction(deployment: Deployment, records: list[Record]) -> None:
    die_at(deployment, "offsets_sent", times=4)

    servers, topic = deployment.bootstrap_servers, deployment.output_topic
    uncommitted = read_topic(servers, topic, isolation_level="read_uncommitted")
    begun = latest_batch(deployment.checkpoint, "offsets")
    assert begun == 2
    # A reader of committed messages waits before the open transaction; others see into it.
    assert count_answers(deployment, records) == end_of_batch(deployment, begun - 1) > BATCH
    assert len(uncommitted) >= len(read_topic(servers, topic))
    finish(deployment)
    assert read_account(deployment, records).faults == {}


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_a_random_moment(
    deployment: Deployment, records: list[Record], seed: int
) -> None:
    arguments = deployment.arguments(max_offsets_per_trigger=BATCH)
    with start_job(arguments) as process:
        wait_for_output(deployment, process.poll)
        time.sleep(random.Random(seed).uniform(0, 1.5))
    finish(deployment)

    assert read_account(deployment, records).faults == {}


def test_at_least_once_duplicates_what_a_kill_interrupts(
    deployment: Deployment, records: list[Record]
) -> None:
    """The negative control: the same kill and the same account, with Spark's own sink."""
    arguments = deployment.arguments(max_offsets_per_trigger=BATCH, delivery="at-least-once")
    with start_job(arguments, SCORE_STREAM) as process:
        # Messages of a batch can be read before Spark notes the batch as done.
        wait_for_output(deployment, process.poll)
    finish(deployment, delivery="at-least-once")

    faults = read_account(deployment, records).faults
    assert faults.keys() == {"duplicated"}
    assert faults["duplicated"] > 0


def wait_for_output(deployment: Deployment, poll: object) -> None:
    """Return as soon as the output topic has a message."""
    assert callable(poll)
    consumer = Consumer({"bootstrap.servers": deployment.bootstrap_servers, "group.id": "watcher"})
    partitions = [TopicPartition(deployment.output_topic, number) for number in range(4)]
    deadline = time.monotonic() + JOB_TIMEOUT_S
    try:
        while time.monotonic() < deadline:
            assert poll() is None, "the job ended before it was killed"
            for partition in partitions:
                if consumer.get_watermark_offsets(partition, timeout=10)[1] > 0:
                    return
        raise AssertionError("the job wrote nothing")
    finally:
        consumer.close()
