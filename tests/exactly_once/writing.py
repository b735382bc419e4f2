"""Share topics, messages and reads among the tests of the transactional writer."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import psutil
import pyarrow as pa
from confluent_kafka import Consumer, TopicPartition

from lib.exactly_once.transaction.settings import TransactionSettings
from lib.exactly_once.transaction.writer import TransactionalWriter, WriteReport
from lib.messages.columns import MESSAGE_SCHEMA
from tests.support.topics import read_topic

# The client's own thread notices the end of a connection within this time.
_NOTICED_S = 0.5


@dataclass(frozen=True)
class Setting:
    """The topics of one test, and the settings of its writer."""

    servers: str
    source: str
    output: str
    transaction: TransactionSettings

    def writer(self, **changes: Any) -> TransactionalWriter:
        return TransactionalWriter(replace(self.transaction, **changes))

    def committed(self) -> dict[int, tuple[int, str | None]]:
        """Return partition → the group's offset and metadata, as any tool sees them."""
        group = {"bootstrap.servers": self.servers, "group.id": self.transaction.query_name}
        consumer = Consumer({**group, "enable.auto.commit": False})
        asked = [TopicPartition(self.source, partition) for partition in range(2)]
        answers = consumer.committed(asked, timeout=60)
        consumer.close()
        return {answer.partition: (answer.offset, answer.metadata) for answer in answers}

    def keys(self) -> list[bytes | str | None]:
        """Return the keys in the output topic that a read_committed reader sees."""
        return [message.key() for message in read_topic(self.servers, self.output)]

    def messages(
        self, offsets: Sequence[int], partition: int = 0, value: bytes = b"v", headers: Any = None
    ) -> pa.Table:
        """Return a message for each source offset, with the offset in its key."""
        rows = [
            {
                "topic": self.output,
                "key": f"{partition}@{offset}".encode(),
                "value": value,
                "headers": headers,
                "source_topic": self.source,
                "source_partition": partition,
                "source_offset": offset,
            }
            for offset in offsets
        ]
        return pa.Table.from_pylist(rows, schema=MESSAGE_SCHEMA)


def build_setting(servers: str, source: str, output: str) -> Setting:
    settings = TransactionSettings(servers, f"query-{uuid.uuid4().hex[:8]}", source)
    return Setting(servers, source, output, settings)


def write(
    writer: TransactionalWriter, messages: pa.Table | None, ends: dict[int, int], batch_id: int = 0
) -> WriteReport:
    return writer.write(messages, ends, batch_id=batch_id, query_id="q")


def cut_connections(servers: str) -> None:
    """End all connections of this process to a broker, and give its clients time to notice."""
    port = int(servers.rsplit(":", 1)[1])
    for connection in psutil.Process().net_connections("tcp"):
        if connection.status == psutil.CONN_ESTABLISHED and connection.raddr.port == port:
            with suppress(OSError), socket.socket(fileno=os.dup(connection.fd)) as ours:
                ours.shutdown(socket.SHUT_RDWR)
    time.sleep(_NOTICED_S)
