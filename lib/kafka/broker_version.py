"""Which Kafka the brokers are, as far as their settings tell: 3.x or older says so itself."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from lib.kafka.admin import ask_broker_settings

logger = logging.getLogger(__name__)

# Brokers up to 3.9 have it, with their own version as its default; Kafka 4.0 has taken it away. No
# client library tells the version in another way that needs no Java.
_SETTING = "inter.broker.protocol.version"
_OLDEST_TRIED = (3, 9)


def warn_of_old_brokers(admin: AdminClient, brokers: Iterable[int]) -> None:
    """Log a line if brokers are older than what was tried, or none of them tells."""
    versions = read_versions(admin, brokers)
    if not versions:
        logger.info("the brokers' version is not checked: no DESCRIBE_CONFIGS on the cluster")
    warning = judge_versions(versions)
    if warning is not None:
        logger.warning(warning)


def read_versions(admin: AdminClient, brokers: Iterable[int]) -> dict[int, str | None]:
    """Broker → its version as its settings tell, None for 4.0 and newer.

    Brokers that do not tell are left out: the user has no right to it, or they are away just now.
    """
    # All at the same time.
    answers = {broker: ask_broker_settings(admin, broker) for broker in brokers}
    versions: dict[int, str | None] = {}
    for broker, answer in answers.items():
        try:
            entry = answer.result().get(_SETTING)
        except KafkaException:
            continue
        versions[broker] = None if entry is None else entry.value
    return versions


def judge_versions(versions: Mapping[int, str | None]) -> str | None:
    """What there is to say about versions: one line, or None where all were tried.

    Args:
        versions: broker → as Kafka writes it, ``3.6-IV2``; None for 4.0 and newer.
    """
    old = {
        broker: version
        for broker, version in sorted(versions.items())
        if version is not None and _read_numbers(version) < _OLDEST_TRIED
    }
    if not old:
        return None
    oldest = ".".join(map(str, _OLDEST_TRIED))
    listed = ", ".join(f"broker {broker} is {version}" for broker, version in old.items())
    return (
        f"Kafka before {oldest} was never tried with this job, and {listed} by its {_SETTING}"
        " (upgrade the brokers; docs/guarantees.md says what was tried)"
    )


def _read_numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version: (3, 6) of ``3.6-IV2``."""
    return tuple(int(it) for it in re.findall(r"\d+", version.partition("-")[0])[:2])
