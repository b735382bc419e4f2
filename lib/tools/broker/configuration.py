"""Builds the settings of an embedded broker, which depend on the size of its cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.setup.machine import LOOPBACK

PLAIN_LISTENER = "PLAINTEXT"
_CONTROLLER_LISTENER = "CONTROLLER"


@dataclass(frozen=True)
class Listener:
    """A listener of each broker beside the plain one.

    Attributes:
        name: the name in capitals, as in the broker's settings (``listener.name.NAME.…``).
        protocol: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
        advertised_ports: the port of each broker that clients connect to, such as that of a proxy;
            by default the listener's own.
    """

    name: str
    protocol: str = "PLAINTEXT"
    advertised_ports: Sequence[int] = ()


@dataclass(frozen=True)
class Address:
    """The address of a broker.

    Attributes:
        node_id: the number of the broker in the cluster, from 1.
        host: the host for clients and for the other brokers.
        ports: listener name → port; :data:`PLAIN_LISTENER` is one of the names.
        controller_port: the port of the KRaft controller, which each node is too.
    """

    node_id: int
    host: str
    ports: Mapping[str, int]
    controller_port: int

    @property
    def voter(self) -> str:
        """The name of this broker in the quorum of controllers: ``id@host:port``."""
        return f"{self.node_id}@{self.host}:{self.controller_port}"


def build_configuration(
    data_folder: Path,
    address: Address,
    cluster: Sequence[Address],
    overrides: Mapping[str, str],
    listeners: Sequence[Listener] = (),
) -> dict[str, str]:
    """Return the broker's settings; those of the caller come last.

    Limits and timeouts (``message.max.bytes``, those of transactions and offsets) keep Kafka's
    defaults, so that the job meets the same ones as in production.

    Args:
        data_folder: the folder for the data of all topics.
        address: the address of this broker.
        cluster: the addresses of all brokers, this one among them.
        overrides: the caller's settings.
        listeners: the listeners beside the plain one.
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
        # Kafka's default of 50 partitions would only make a start after a crash slower.
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        # A single consumer need not wait 3 s for others to join its group.
        "group.initial.rebalance.delay.ms": "0",
        # After a crash the controller waits until the broker's old session has expired: 9 s by
        # default. A much shorter session would fence a broker that only lacks CPU.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "500",
        # A missing topic has to be an error.
        "auto.create.topics.enable": "false",
        # The log cleaner's default of 128 MB is a quarter of the small heap.
        "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
        "num.network.threads": "2",
        "num.io.threads": "4",
    }
    return configuration | dict(overrides)


def _replicate(brokers: int) -> dict[str, str]:
    """Put every topic on all brokers, all but one of which must have an acknowledged record."""
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
