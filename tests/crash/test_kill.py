"""The driver is killed with -9 at a step of a transaction, and Kafka and Spark are checked then.

``test_laboratory.py`` tests what readers notice of kills at any moment, and of Spark's own sink.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from lib.exactly_once.checkpoint.format import parse_offsets
from tests.crash.supervisor import DYING_JOB
from tests.end_to_end.jobs import JOB_TIMEOUT_S, Deployment, read_account, run_job, start_job
from tests.support.topics import Record, build_customers, produce, read_topic

RECORDS = 2_500
# Each source partition has several batches, so that some come before a kill and some after it.
BATCH = 500


@pytest.fixture
def records(deployment: Deployment) -> list[Record]:
    """Write customers to the input topic, two in a hundred of them broken."""
    records = build_customers(RECORDS, bad_share=0.02, seed=3)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    return records


def die_at(deployment: Deployment, folder: Path, step: str, times: int) -> None:
    """Run the job until it kills itself at a step."""
    arguments = deployment.arguments(max_offsets_per_trigger=BATCH)
    (folder / "order").write_text(f"{step} {times}")
    with start_job(arguments, DYING_JOB, {"CRASH_FOLDER": str(folder)}) as process:
        _, errors = process.communicate(timeout=JOB_TIMEOUT_S)
    assert process.returncode == -signal.SIGKILL, errors


def latest_batch(checkpoint: Path, log: str) -> int:
    names = [path.name for path in (checkpoint / log).glob("[0-9]*")]
    return max(map(int, names), default=-1)


def end_of_batch(deployment: Deployment, batch_id: int) -> int:
    """Return the number of records up to the end of a batch, from Spark's offset log."""
    text = (deployment.checkpoint / "offsets" / str(batch_id)).read_text()
    return sum(parse_offsets(text, deployment.input_topic).values())


def count_answers(deployment: Deployment, records: list[Record]) -> int:
    account = read_account(deployment, records)
    return len(account.predictions) + len(account.dead_letters)


def test_killed_inside_an_open_transaction_and_between_the_kafka_commit_and_sparks_commit_log(
    deployment: Deployment, records: list[Record], tmp_path: Path
) -> None:
    # The first transaction claims the group, so the fourth transaction is that of the third batch.
    die_at(deployment, tmp_path, "offsets_sent", times=4)

    servers, topic = deployment.bootstrap_servers, deployment.output_topic
    uncommitted = read_topic(servers, topic, isolation_level="read_uncommitted")
    begun = latest_batch(deployment.checkpoint, "offsets")
    assert begun == 2
    # Readers of committed messages wait before the open transaction; other readers see into it.
    assert count_answers(deployment, records) == end_of_batch(deployment, begun - 1) > BATCH
    assert len(uncommitted) >= len(read_topic(servers, topic))

    # The next start claims the group again, and its first batch is the interrupted one.
    die_at(deployment, tmp_path, "committed", times=2)

    begun = latest_batch(deployment.checkpoint, "offsets")
    assert begun == latest_batch(deployment.checkpoint, "commits") + 1 == 2
    assert count_answers(deployment, records) == end_of_batch(deployment, begun) > 2 * BATCH
    done = run_job(deployment.arguments(max_offsets_per_trigger=BATCH))
    assert done.returncode == 0, done.stderr
    assert read_account(deployment, records).faults == {}
