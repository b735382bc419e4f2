"""Finds out the version of brokers from their settings, and warns of old ones."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from lib.kafka.admin import ask_broker_settings

logger = logging.getLogger(__name__)

# Brokers up to 3.9 have this setting, whose default is their version; Kafka 4.0 has removed it. No
# client library without Java tells the version in another way.
_SETTING = "inter.broker.protocol.version"
_OLDEST_TRIED = (3, 9)


def warn_of_old_brokers(admin: AdminClient, brokers: Iterable[int]) -> bool:
    """Log a line if brokers are older than the versions that were tried.

    Returns:
        Whether any of them has told its settings; the user may have no right to them.
    """
    versions = read_versions(admin, brokers)
    warning = judge_versions(versions)
    if warning is not None:
        logger.warning(warning)
    return bool(versions)


def read_versions(admin: AdminClient, brokers: Iterable[int]) -> dict[int, str | None]:
    """Read broker → its version from its settings, None for 4.0 and newer.

    Brokers that do not answer are left out: the user has no right to ask, or they are away.
    """
    # All brokers are asked at the same time.
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
    """Write a line about versions that were not tried; None if all were. Pure.

    Args:
        versions: broker → version in Kafka's form, ``3.6-IV2``; None for 4.0 and newer.
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
    """Read the numbers of a version: (3, 6) of ``3.6-IV2``."""
    return tuple(int(it) for it in re.findall(r"\d+", version.partition("-")[0])[:2])
