"""The settings of an embedded broker, which depend on how many there are in its cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.tools.broker.ports import LOOPBACK

PLAIN_LISTENER = "PLAINTEXT"
_CONTROLLER_LISTENER = "CONTROLLER"


@dataclass(frozen=True)
class Listener:
    """One more address of each broker, beside the plain one.

    Attributes:
        name: in capitals; names it in the broker's settings (``listener.name.NAME.…``).
        protocol: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
        advertised_ports: what clients are told to connect to, such as ports of a proxy, one for
            each broker; the listener's own by default.
    """

    name: str
    protocol: str = "PLAINTEXT"
    advertised_ports: Sequence[int] = ()


@dataclass(frozen=True)
class Address:
    """Where a broker listens.

    Attributes:
        node_id: its number in the cluster, from 1.
        host: for clients and for the other brokers.
        ports: listener name → port, that of :data:`PLAIN_LISTENER` among them.
        controller_port: of the KRaft controller, which each node is too.
    """

    node_id: int
    host: str
    ports: Mapping[str, int]
    controller_port: int

    @property
    def voter(self) -> str:
        """How the quorum of controllers names this broker: ``id@host:port``."""
        return f"{self.node_id}@{self.host}:{self.controller_port}"


def build_configuration(
    data_folder: Path,
    address: Address,
    cluster: Sequence[Address],
    overrides: Mapping[str, str],
    listeners: Sequence[Listener] = (),
) -> dict[str, str]:
    """Return the broker's settings, those of the caller last.

    Args:
        data_folder: for the logs of all topics.
        address: of this broker.
        cluster: all addresses, this one among them.
        overrides: the caller's settings.
        listeners: those beside the plain one.

    What a test could stumble over (``message.max.bytes``, transaction and offset time-outs) stays
    at Kafka's defaults, so that the job meets here what it meets in production.
    """
    ports, host = address.ports, address.host
    everyone = (Listener(PLAIN_LISTENER), *listeners)
    addresses = [f"{it.name}://{host}:{ports[it.name]}" for it in everyone]
    advertised = [
        f"{it.name}://{LOOPBACK}:{it.advertised_ports[address.node_id - 1]}"
        if it.advertised_ports
        else own
        for it, own in zip(everyone, addresses, strict=True)
    ]
    protocols = [f"{it.name}:{it.protocol}" for it in everyone]
    controller = f"{_CONTROLLER_LISTENER}://{host}:{address.controller_port}"
    configuration = {
        "process.roles": "broker,controller",
        "node.id": str(address.node_id),
        "controller.quorum.voters": ",".join(it.voter for it in cluster),
        "listeners": ",".join([*addresses, controller]),
        "advertised.listeners": ",".join(advertised),
        "controller.listener.names": _CONTROLLER_LISTENER,
        "listener.security.protocol.map": ",".join(
            [*protocols, f"{_CONTROLLER_LISTENER}:PLAINTEXT"]
        ),
        "log.dirs": str(data_folder),
        **_replicate(len(cluster)),
        # 50 partitions each is Kafka's default; they cost start-up time after a crash and serve
        # nobody here.
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        # A lone consumer should not wait 3 s for others to join its group.
        "group.initial.rebalance.delay.ms": "0",
        # After a crash the controller waits for the end of the session that the broker had before
        # it: 9 s by default. Much less than this would fence a broker that merely lacks CPU.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "500",
        # A missing topic is an error to be seen, not one to be papered over.
        "auto.create.topics.enable": "false",
        # The log cleaner's default of 128 MB is a quarter of the small heap.
        "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
        "num.network.threads": "2",
        "num.io.threads": "4",
    }
    return configuration | dict(overrides)


def _replicate(brokers: int) -> dict[str, str]:
    """Every topic is on all brokers, and all but one must have a record that is acknowledged."""
    replicas, in_sync = str(brokers), str(max(brokers - 1, 1))
    return {
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
    }


def write_properties(path: Path, configuration: Mapping[str, str]) -> None:
    """Write a Java properties file."""
    lines = [f"{key}={value}" for key, value in configuration.items()]
    path.write_text("\n".join(lines) + "\n")
