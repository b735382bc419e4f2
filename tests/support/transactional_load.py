"""Send numbered records in transactions, some of which are aborted."""

from __future__ import annotations

import time
from collections.abc import Callable

from confluent_kafka import KafkaException, Producer

from tests.support.ledger import Ledger
from tests.support.load import KEYS_PER_PARTITION

# No other load sends these keys, because only one producer keeps the records of a key in order.
_FIRST_KEY = 500_000
# Brokers allow no longer timeout by default, so nobody but this producer ends its transactions.
_TRANSACTION_TIMEOUT_MS = 900_000
_CALL_TIMEOUT_S = 30.0
_PATIENCE_S = 300.0

Message = tuple[int, bytes, bytes | None]


def do_nothing() -> None:
    """Do nothing, so that a transaction ends at once."""


class TransactionalLoad:
    """A producer that sends each record once in transactions, whatever happens to the brokers.

    Args:
        bootstrap_servers: addresses of the brokers.
        topic: topic to which records are sent.
        partitions: number of partitions to use.
        ledger: ledger that registers each record first, and whether an answer is due.
    """

    def __init__(self, bootstrap_servers: str, topic: str, partitions: int, ledger: Ledger) -> None:
        self._topic = topic
        self._partitions = partitions
        self._ledger = ledger
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "transactional.id": f"load-of-{topic}",
                "transaction.timeout.ms": _TRANSACTION_TIMEOUT_MS,
                "message.max.bytes": 2_000_000,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )

    def start(self) -> None:
        """Take the transactional id, which ends transactions that an earlier load left open."""
        self._insist(lambda: self._producer.init_transactions(_CALL_TIMEOUT_S))

    def send(
        self, count: int, *, is_aborted: bool, while_open: Callable[[], None] = do_nothing
    ) -> None:
        """Send records in one transaction.

        Args:
            count: number of records.
            is_aborted: whether the transaction is aborted, so that no record may be answered.
            while_open: function that is called when all records are in the topic and the
                transaction is still open.

        Raises:
            KafkaException: the brokers do not come back.
        """
        expect = self._ledger.expect_none if is_aborted else self._ledger.expect
        messages = []
        for number in range(count):
            home = number % self._partitions
            key = _FIRST_KEY + home * KEYS_PER_PARTITION
            key += number // self._partitions % KEYS_PER_PARTITION
            messages.append((home, *expect(key)))
        self._begin(messages)
        while_open()
        if is_aborted:
            self._insist(lambda: self._producer.abort_transaction(_CALL_TIMEOUT_S))
        else:
            self._insist(lambda: self._commit(messages))

    def _begin(self, messages: list[Message]) -> None:
        self._producer.begin_transaction()
        for home, key, value in messages:
            self._producer.produce(self._topic, key=key, value=value, partition=home)
        self._producer.flush(_CALL_TIMEOUT_S)

    def _commit(self, messages: list[Message]) -> None:
        try:
            self._producer.commit_transaction(_CALL_TIMEOUT_S)
        except KafkaException as failure:
            if failure.args[0].txn_requires_abort():  # readers never see its records
                self._insist(lambda: self._producer.abort_transaction(_CALL_TIMEOUT_S))
                self._begin(messages)
            raise

    def _insist(self, call: Callable[[], None]) -> None:
        deadline_s = time.monotonic() + _PATIENCE_S
        while True:
            try:
                call()
                return
            except KafkaException as failure:
                error = failure.args[0]
                may_pass = error.retriable() or error.txn_requires_abort()
                if not may_pass or time.monotonic() > deadline_s:
                    raise
