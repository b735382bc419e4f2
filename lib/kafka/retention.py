"""How long brokers remember what a job that stands still has left with them."""

from __future__ import annotations

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from lib.kafka.admin import ask_broker_settings

_TIMEOUT_S = 5.0
# Setting of the brokers → seconds in its unit.
_RETENTIONS = {"offsets.retention.minutes": 60.0, "transactional.id.expiration.ms": 0.001}


def find_shortest_retention_s(admin: AdminClient) -> float | None:
    """After how many seconds brokers forget a group's offsets or a transactional id.

    Asks one broker: the settings are the same on all of them.

    Returns:
        None where the brokers do not tell: it takes the right DESCRIBE_CONFIGS on the cluster.
    """
    try:
        broker = min(admin.list_topics(timeout=_TIMEOUT_S).brokers)
        entries = ask_broker_settings(admin, broker, _TIMEOUT_S).result()
    except (KafkaException, ValueError):
        return None
    found = [
        float(value) * unit_s
        for name, unit_s in _RETENTIONS.items()
        if name in entries and (value := entries[name].value) is not None
    ]
    return min(found, default=None)
