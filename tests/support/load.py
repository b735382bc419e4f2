"""Send numbered records at a steady rate while jobs, brokers and connections fail."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from lib.background import Background
from tests.support.ledger import Ledger

# Each partition has this many keys: few, so that each has many records whose order counts.
KEYS_PER_PARTITION = 50
# The sender looks at least this often whether it should stop.
_PATIENCE_S = 0.05
_FLUSH_TIMEOUT_S = 120.0


class Load(Background):
    """A thread that sends each record once at a given rate, whatever happens to the broker.

    A key stays in its partition for ever, also when partitions are added: new partitions get new
    keys. So the records of a key have one order, which the ledger checks.

    Args:
        bootstrap_servers: address of the broker itself, not of the proxy that disturbs the job.
        topic: topic to which records are sent.
        partitions: number of the topic's partitions.
        ledger: ledger that registers each record before it is sent.
        rate: highest number of records per second.
        backlog: number of unanswered records at which the load waits; None never waits.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        partitions: int,
        ledger: Ledger,
        *,
        rate: float,
        backlog: int | None = None,
    ) -> None:
        super().__init__("load")
        self._topic = topic
        self._partitions = partitions
        self._ledger = ledger
        self._rate = rate
        self._backlog = backlog
        self._quota = 0
        self._sent = 0
        self._failed: list[KafkaError] = []
        self._is_paused = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                # Each record arrives once and in order, however long the broker is away.
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "message.max.bytes": 2_000_000,
                "linger.ms": 5,
                "reconnect.backoff.max.ms": 500,
                "metadata.recovery.strategy": "none",
                "log_level": 0,
                "delivery.report.only.error": True,
                "on_delivery": self._note_delivery,
            }
        )

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(exception_type, exception, traceback)
        self._producer.purge()

    @property
    def sent(self) -> int:
        """Number of records that were handed to the client."""
        return self._sent

    @property
    def allowed(self) -> int:
        """Number of records that may be sent in all."""
        return self._quota

    @property
    def is_done(self) -> bool:
        """Whether all allowed records have been sent."""
        return self._sent >= self._quota

    def pause(self) -> None:
        """Stop sending until :meth:`resume`."""
        self._is_paused.set()

    def resume(self) -> None:
        """Send records again after :meth:`pause`."""
        self._is_paused.clear()

    def allow(self, count: int) -> None:
        """Allow this many more records to be sent."""
        self._quota += count

    def flood(self, count: int) -> None:
        """Send broken records at once, beside the others, and wait until the broker has them."""
        for number in range(count):
            name, value = self._ledger.expect_broken()
            while True:
                try:
                    self._producer.produce(
                        self._topic, key=name, value=value, partition=number % self._partitions
                    )
                    break
                except BufferError:
                    self._producer.poll(_PATIENCE_S)
        self.flush()

    def add_partition(self) -> None:
        """Use one more partition, which exists already, and wait until the client knows it."""
        deadline = time.monotonic() + _FLUSH_TIMEOUT_S
        while len(self._producer.list_topics(self._topic).topics[self._topic].partitions) <= (
            self._partitions
        ):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._topic} has no partition {self._partitions}")
            time.sleep(_PATIENCE_S)
        self._partitions += 1

    def check(self) -> None:
        """Check that the load is still running.

        Raises:
            RuntimeError: the thread has ended; the message has the reason.
        """
        if self.failure is not None:
            raise RuntimeError("the load ended") from self.failure

    def flush(self) -> None:
        """Wait until the broker has all records that were sent.

        Raises:
            RuntimeError: the broker did not take a record, or the thread has ended.
        """
        self.check()
        left = self._producer.flush(_FLUSH_TIMEOUT_S)
        if left or self._failed:
            first = self._failed[0].str() if self._failed else "no answer"
            raise RuntimeError(f"{left + len(self._failed)} records were not taken: {first}")

    def _run(self) -> None:
        due, last_s = 0.0, time.monotonic()
        while not self._stopped.is_set():
            now_s = time.monotonic()
            # Records that could not be sent in time are not all sent at once later.
            due = min(due + (now_s - last_s) * self._rate, self._rate * 2 * _PATIENCE_S)
            last_s = now_s
            for _ in range(min(int(due), self._quota - self._sent, self._room())):
                self._send_one()
                due -= 1
            self._producer.poll(0)
            self._stopped.wait(_PATIENCE_S)

    def _room(self) -> int:
        if self._is_paused.is_set():
            return 0
        if self._backlog is None:
            return self._quota
        return max(self._backlog - (self._ledger.expected - self._ledger.answered), 0)

    def _send_one(self) -> None:
        home = self._sent % self._partitions
        # The multiplier has no common factor, so neighbouring records have different keys.
        key = home * KEYS_PER_PARTITION + self._sent // self._partitions * 7 % KEYS_PER_PARTITION
        name, value = self._ledger.expect(key)
        while True:
            try:
                self._producer.produce(self._topic, key=name, value=value, partition=home)
                break
            except (BufferError, KafkaException) as error:
                # The queue is full, or the client does not know a new partition yet.
                is_transient = isinstance(error, BufferError) or (
                    error.args[0].code() == KafkaError._UNKNOWN_PARTITION
                )
                if not is_transient or self._stopped.is_set():
                    raise
                self._producer.poll(_PATIENCE_S)
        self._sent += 1

    def _note_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and error.code() != KafkaError._PURGE_QUEUE:
            self._failed.append(error)
