"""Two runs of one query: the second run waits for the first instead of fencing it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pytest

from lib.errors import OwnerAliveError, SinkError, SinkFencedError
from lib.exactly_once.offsets.lease import find_owner
from lib.exactly_once.sink import ExactlyOnceSink
from lib.kafka.admin import build_admin, read_topic_id
from lib.kafka.cluster import Cluster
from tests.exactly_once.copying import COMMITS, PARTITIONS, Copying, answers, as_bytes, orders
from tests.support.waiting import wait_until

# A loaded machine may not manage to say every second that a run is alive.
LEASE_S = 6


class Start:
    """A sink that starts in a separate thread."""

    def __init__(self, copying: Copying, **changes: Any) -> None:
        settings = {"lease_s": LEASE_S, **changes}
        self.sink = copying.build_sink(**settings)
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.sink.start()
        except Exception as error:  # noqa: BLE001  the test looks at it
            self.error = error

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def await_end(self) -> ExactlyOnceSink:
        wait_until(lambda: self.is_over)
        assert self.error is None, self.error
        return self.sink


@COMMITS
def test_a_second_run_waits_until_the_first_ends_and_neither_is_fenced(
    copying: Copying, commit: str
) -> None:
    first = copying.start_sink(commit=commit, lease_s=LEASE_S)
    with copying.running(first) as query:
        copying.produce(*orders(0, 20))
        wait_until(lambda: copying.read() == answers(0, 20))
        second = Start(copying, commit=commit)
        time.sleep(2 * LEASE_S)  # the first run is idle, but still says that it is alive
        assert not second.is_over
        copying.produce(*orders(20, 40))
        copying.await_answers(query, answers(0, 40))
    assert first.failure is None

    released_s = time.monotonic()
    sink = second.await_end()
    # The first run released its lease, so nobody waits for the end of it.
    assert time.monotonic() - released_s < 60
    with copying.running(sink) as query:
        copying.produce(*orders(40, 60))
        copying.await_answers(query, answers(0, 60))
    assert sink.failure is None


def test_a_released_query_is_owned_by_nobody(copying: Copying) -> None:
    copying.start_sink(lease_s=600).close()
    copying.start_sink(lease_s=600, owner_timeout_s=0, commit="executor").close()
    copying.start_sink(lease_s=600, owner_timeout_s=0).close()

    stamps = [stamp for _, stamp in copying.committed().values() if stamp is not None]
    assert len(stamps) == PARTITIONS
    assert find_owner((stamp.to_metadata() for stamp in stamps), "nobody") is None


def test_a_start_that_may_not_wait_ends_and_harms_nobody(copying: Copying) -> None:
    first = copying.start_sink(lease_s=LEASE_S)
    with copying.running(first) as query:
        with pytest.raises(OwnerAliveError, match=r"is answered by run \S+ \(host \S+, process"):
            copying.start_sink(lease_s=LEASE_S, owner_timeout_s=0)
        copying.produce(*orders(0, 20))
        copying.await_answers(query, answers(0, 20))

    assert first.failure is None


def test_a_start_that_waits_can_be_given_up(
    copying: Copying, caplog: pytest.LogCaptureFixture
) -> None:
    first = copying.start_sink(lease_s=LEASE_S)
    second = Start(copying)
    wait_until(lambda: "which is alive: waiting until it ends" in caplog.text)
    second.sink.give_up()
    wait_until(lambda: second.is_over)
    first.close()

    assert isinstance(second.error, SinkError)
    assert "given up" in second.error.message


@COMMITS
def test_of_two_runs_that_start_at_once_one_goes_first(copying: Copying, commit: str) -> None:
    copying.produce(*orders(0, 20))
    # On a busy machine the winner may not manage to say every second that it is alive.
    starts = [Start(copying, commit=commit, lease_s=20) for _ in range(2)]
    wait_until(lambda: any(start.is_over for start in starts))
    (winner,) = [start for start in starts if start.is_over]
    (other,) = [start for start in starts if start is not winner]
    with copying.running(winner.await_end()) as query:
        copying.await_answers(query, answers(0, 20))
    assert winner.sink.failure is None
    copying.produce(*orders(20, 40))
    with copying.running(other.await_end()) as query:
        copying.await_answers(query, answers(0, 40))

    assert other.sink.failure is None


def test_an_idle_run_that_was_replaced_notices(copying: Copying) -> None:
    idle = copying.start_sink(lease_s=1)
    copying.start_sink(lease_s=0).close()
    wait_until(lambda: idle.failure is not None)
    idle.close()

    assert isinstance(idle.failure, SinkFencedError)


# This process claims the query in its arguments and prints the result; it does so again for each
# line that it reads.
OWNER = """
import sys
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.exactly_once.offsets.stamp import Author, make_run_id
from lib.exactly_once.transaction.writer import TransactionalWriter
servers, query, topic, topic_id, lease_s = sys.argv[1:]
author = Author(make_run_id(), topic_id, lease_s=int(lease_s))
writer = TransactionalWriter(TransactionSettings(servers, query, topic), author=author)
writer.open()
while True:
    try:
        writer.claim({0: 0}, query_id="-")
        print("claimed", flush=True)
    except Exception as error:
        print(type(error).__name__, flush=True)
    sys.stdin.readline()
"""


@contextmanager
def owner_process(copying: Copying, lease_s: int) -> Iterator[subprocess.Popen[str]]:
    """Start another process that has the query, and is silent until told to commit again."""
    settings = copying.settings
    servers = settings.bootstrap_servers
    topic_id = read_topic_id(build_admin(Cluster(servers)), settings.source_topic)
    arguments = [servers, settings.query_name, settings.source_topic, topic_id, str(lease_s)]
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_process_that_was_killed_on_this_machine_is_not_waited_for(copying: Copying) -> None:
    with owner_process(copying, lease_s=600) as process:
        with pytest.raises(OwnerAliveError):
            copying.start_sink(lease_s=600, owner_timeout_s=0)
        process.kill()
        process.wait()
        copying.start_sink(lease_s=600, owner_timeout_s=0).close()


def test_a_process_that_is_silent_for_a_lease_is_replaced_and_ends_when_it_wakes(
    copying: Copying,
) -> None:
    with owner_process(copying, lease_s=LEASE_S) as process:
        process.send_signal(signal.SIGSTOP)
        with copying.running(copying.start_sink(lease_s=LEASE_S)):
            copying.produce(*orders(0, 20))
            wait_until(lambda: copying.read() == answers(0, 20))
            process.send_signal(signal.SIGCONT)
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("again\n")
            process.stdin.flush()
            assert process.stdout.readline() == "SinkFencedError\n"


def test_tasks_that_take_longer_than_a_lease_renew_it(copying: Copying) -> None:
    """All partitions are being written, so the driver may not commit to any of them."""

    def be_slow(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            time.sleep(2 * LEASE_S)
            yield batch

    copying.produce(*orders(0, 40))
    first = copying.start_sink(commit="executor", lease_s=LEASE_S)
    with copying.running_through(first, be_slow) as query:
        wait_until(lambda: bool(query.status["isTriggerActive"]))
        second = Start(copying)
        wait_until(lambda: copying.read() == answers(0, 40) or second.is_over)
        assert not second.is_over
        copying.await_answers(query, answers(0, 40))
    second.await_end().close()

    assert first.failure is None
    assert {as_bytes(value) for _, value in copying.read()} == {v for _, v in answers(0, 40)}
