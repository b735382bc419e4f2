"""Connects to brokers for the first time, and says in one sentence why that fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, BrokerMetadata, ClusterMetadata

from lib.errors import KafkaSetupError
from lib.kafka.cluster import Cluster
from lib.kafka.connection.faults import (
    Cause,
    Client,
    Fault,
    describe_fault,
    describe_listener,
    read_fault,
    read_token_fault,
)
from lib.kafka.connection.probe import (
    find_certificate_fault,
    find_connection_fault,
    speaks_tls,
)
from lib.kafka.options.librdkafka_check import check_librdkafka
from lib.kafka.options.sign_in import OAUTH, find_mechanism
from lib.kafka.secrets import hide_secrets

# Brokers that are not reached may just be starting, or their name service may be.
PATIENCE_S = 4.0
# The time for brokers that say nothing at all: they may be busy.
_SILENCE_S = 7.0
_POLL_S = 0.02
# The client's names for lines of its log → what reads them.
_READERS = {"FAIL": read_fault, "OIDC": read_token_fault}
# At most this many addresses are tried, one after the other.
_MOST_TRIED = 3


class _FaultLog:
    """Keeps the last fault of each broker; a client calls it like a logger, while it is polled."""

    def __init__(self) -> None:
        self.faults: dict[str, Fault] = {}

    def log(self, level: int, text: str, facility: str, client: str, line: str) -> None:
        """Note a line of the client's log."""
        read = _READERS.get(facility)
        fault = None if read is None else read(line)
        if fault is not None:
            self.faults[fault.server] = fault


def connect(cluster: Cluster) -> AdminClient:
    """Build a client, and wait until the brokers have accepted it.

    Raises:
        SettingsError: librdkafka does not take an option.
        KafkaSetupError: no broker is reached, or the password or a certificate is refused; the
            error says which.
    """
    check_librdkafka(cluster.options)
    log = _FaultLog()
    # At the end a client that gets tokens writes a line of level 6 to standard error.
    level = 5 if find_mechanism(cluster.options) == OAUTH else 6
    settings: dict[str, Any] = {**cluster.for_librdkafka(), "log_level": level, "logger": log}
    admin = AdminClient(settings)
    metadata = _await_metadata(admin, cluster, log.faults)
    _check_advertised(cluster, list(metadata.brokers.values()))
    return admin


def _await_metadata(
    admin: AdminClient, cluster: Cluster, faults: Mapping[str, Fault]
) -> ClusterMetadata:
    """Wait for the first answer of a broker.

    Raises:
        KafkaSetupError: none comes in time, or waiting does not help.
    """
    answer: Future[ClusterMetadata] = Future()
    deadline_s = time.monotonic() + _SILENCE_S

    def ask() -> None:
        while not answer.done():
            try:
                left_s = max(deadline_s - time.monotonic(), _POLL_S)
                answer.set_result(admin.list_topics(timeout=left_s))
            except KafkaException as error:  # a broker has closed the connection, or time is over
                if time.monotonic() >= deadline_s:
                    answer.set_exception(error)
                time.sleep(_POLL_S)

    # The client tells of faults only while it is polled, and its question cannot be interrupted.
    threading.Thread(target=ask, name="first question to Kafka", daemon=True).start()
    patience_s = time.monotonic() + PATIENCE_S
    while not answer.done():
        admin.poll(_POLL_S)
        is_certain = any(fault.is_certain for fault in faults.values())
        has_all_failed = len(faults) >= len(cluster.servers)
        if is_certain or (has_all_failed and time.monotonic() > patience_s):
            raise _build_error(cluster, list(faults.values()))
    try:
        return answer.result()
    except KafkaException as error:
        raise _build_error(cluster, list(faults.values()), error.args[0].str()) from error


def _build_error(cluster: Cluster, faults: Sequence[Fault], reason: str = "") -> KafkaSetupError:
    """Build the error for brokers that are not reached."""
    advertised = [it for it in faults if it.is_unreached and it.server not in cluster.servers]
    if advertised:
        return _build_advertised_error(
            cluster, [f"{fault.server} ({fault.detail})" for fault in advertised]
        )
    certain = [fault for fault in faults if fault.is_certain]
    found = certain[:1] or faults or _find_silence(cluster)
    if not found:
        return KafkaSetupError(f"no Kafka broker answers at {cluster.bootstrap_servers}: {reason}")
    texts, hints = zip(*(_describe(fault, cluster) for fault in found), strict=True)
    return KafkaSetupError(
        hide_secrets(f"no connection to Kafka: {'; '.join(texts)}", cluster.options),
        hint="; or ".join(dict.fromkeys(hints)),
    )


def _describe(fault: Fault, cluster: Cluster) -> tuple[str, str]:
    """Return what is wrong and the way out, and look at the listener where that is needed."""
    client = Client.of(cluster.options, cluster.principal)
    if fault.cause in (Cause.CLOSED_AT_FIRST, Cause.CLOSED_LATER):
        is_tls = speaks_tls(fault.host, fault.port)
        return describe_listener(fault, client, speaks_tls=is_tls)
    if fault.cause is Cause.CERTIFICATE:
        reason = find_certificate_fault(fault.host, fault.port, cluster.options)
        fault = replace(fault, detail=reason or fault.detail)
    return describe_fault(fault, client)


def _find_silence(cluster: Cluster) -> list[Fault]:
    """Find out whether listeners that the client has heard nothing from take connections."""
    found = []
    for server in cluster.servers[:_MOST_TRIED]:
        fault = Fault(server, Cause.SILENCE, "")
        reason = find_connection_fault(fault.host, fault.port)
        found.append(fault if reason is None else Fault(server, Cause.CONNECTION, reason))
    return found


def _check_advertised(cluster: Cluster, brokers: Sequence[BrokerMetadata]) -> None:
    """Make sure that one of the addresses is reached that brokers give themselves.

    Raises:
        KafkaSetupError: none of them is; every later question would wait in vain.
    """
    addresses = [f"{broker.host}:{broker.port}" for broker in brokers]
    reasons = []
    for broker, address in zip(brokers[:_MOST_TRIED], addresses, strict=False):
        if address in cluster.servers:
            return
        reason = find_connection_fault(str(broker.host), broker.port)
        if reason is None:
            return
        reasons.append(f"{address} ({reason})")
    if reasons:
        raise _build_advertised_error(cluster, reasons)


def _build_advertised_error(cluster: Cluster, reasons: Sequence[str]) -> KafkaSetupError:
    """Build the error for brokers whose own addresses are not reached, each with the reason."""
    return KafkaSetupError(
        f"a broker answers at {cluster.bootstrap_servers}, but the brokers give themselves"
        f" addresses that are not reached from here: {', '.join(reasons)}",
        hint="name the listener that is meant for this network, or let an administrator correct"
        " advertised.listeners",
    )
