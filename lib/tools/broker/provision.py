"""Provides the user's broker, if one is named, or else an embedded one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from lib.kafka.cluster import Cluster
from lib.tools.broker.embedded import EmbeddedBroker

#: The variable that names the user's own broker.
BOOTSTRAP_VARIABLE = "KAFKA_BOOTSTRAP_SERVERS"


class Broker(Protocol):
    """A broker that Kafka clients can connect to."""

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients, ``host:port[,host:port...]``."""

    @property
    def cluster(self) -> Cluster:
        """The broker as a value from which the clients of this project are built."""


@dataclass(frozen=True)
class ExternalBroker:
    """A broker that the user runs; nothing here starts or stops it."""

    bootstrap_servers: str

    @property
    def cluster(self) -> Cluster:
        """The broker as a value; its clients need no options."""
        return Cluster(self.bootstrap_servers)


@contextmanager
def provide_broker(settings: Mapping[str, str] | None = None) -> Iterator[Broker]:
    """Provide the broker that ``KAFKA_BOOTSTRAP_SERVERS`` names, or an embedded one, in a block.

    Args:
        settings: the settings of the embedded broker; the user's broker keeps its own.

    Raises:
        SetupError: the embedded broker does not start.
    """
    address = os.environ.get(BOOTSTRAP_VARIABLE, "").strip()
    if address:
        yield ExternalBroker(address)
        return
    with EmbeddedBroker(settings) as broker:
        yield broker
