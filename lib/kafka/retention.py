"""Reads how long brokers keep a job's offsets and transactional ids."""

from __future__ import annotations

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from lib.kafka.admin import ask_broker_settings, ask_brokers

_TIMEOUT_S = 5.0
# The brokers' setting → seconds in its unit.
_RETENTIONS = {"offsets.retention.minutes": 60.0, "transactional.id.expiration.ms": 0.001}


def find_shortest_retention_s(admin: AdminClient) -> float | None:
    """Find the seconds after which brokers forget a group's offsets or a transactional id.

    One broker is asked, because the settings are the same on all of them.

    Returns:
        The seconds; None without the right DESCRIBE_CONFIGS on the cluster.
    """
    try:
        broker = min(ask_brokers(admin, _TIMEOUT_S))
        entries = ask_broker_settings(admin, broker, _TIMEOUT_S).result()
    except (KafkaException, ValueError):
        return None
    found = [
        float(value) * unit_s
        for name, unit_s in _RETENTIONS.items()
        if name in entries and (value := entries[name].value) is not None
    ]
    return min(found, default=None)
