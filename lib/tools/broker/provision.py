"""The broker to use: the user's, if one is named, otherwise an embedded one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from lib.kafka.cluster import Cluster
from lib.tools.broker.embedded import EmbeddedBroker

#: Names the user's own broker; nothing is started then.
BOOTSTRAP_VARIABLE = "KAFKA_BOOTSTRAP_SERVERS"


class Broker(Protocol):
    """Something that Kafka clients can connect to."""

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients, ``host:port[,host:port...]``."""

    @property
    def cluster(self) -> Cluster:
        """The same as clients of this project take it."""


@dataclass(frozen=True)
class ExternalBroker:
    """A broker that the user runs; it is neither started nor stopped here."""

    bootstrap_servers: str

    @property
    def cluster(self) -> Cluster:
        """The broker, whose clients need no options."""
        return Cluster(self.bootstrap_servers)


@contextmanager
def provide_broker(settings: Mapping[str, str] | None = None) -> Iterator[Broker]:
    """Give the broker named by ``KAFKA_BOOTSTRAP_SERVERS``, or an embedded one for the duration.

    Args:
        settings: settings of the embedded broker; a broker of the user keeps its own.

    Raises:
        SetupError: the embedded broker does not start.
    """
    address = os.environ.get(BOOTSTRAP_VARIABLE, "").strip()
    if address:
        yield ExternalBroker(address)
        return
    with EmbeddedBroker(settings) as broker:
        yield broker
