"""Topics for demo, tests and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka.admin import AdminClient, NewTopic

from lib.errors import KafkaSetupError

#: Long enough for a broker on a loaded machine, short enough to be noticed.
ANSWER_TIMEOUT_S = 30.0


def create_topics(
    bootstrap_servers: str,
    partitions: Mapping[str, int],
    config: Mapping[str, str] | None = None,
    client_settings: Mapping[str, str] | None = None,
) -> None:
    """Create topics and wait until the broker has them; others of its cluster learn of them soon.

    Args:
        bootstrap_servers: ``host:port[,host:port...]``.
        partitions: topic name to its number of partitions.
        config: topic settings, the same for all of them.
        client_settings: further settings of the Kafka client, such as credentials.

    Raises:
        KafkaSetupError: a topic exists already, or the broker refuses it or does not answer.
    """
    admin = AdminClient(
        {
            # Errors come as exceptions; below them librdkafka only chats.
            "log_level": 3,
            **(client_settings or {}),
            "bootstrap.servers": bootstrap_servers,
        }
    )
    created = admin.create_topics(
        [
            NewTopic(name, num_partitions=count, replication_factor=-1, config=dict(config or {}))
            for name, count in partitions.items()
        ],
        operation_timeout=ANSWER_TIMEOUT_S,
        request_timeout=ANSWER_TIMEOUT_S,
    )
    for name, future in created.items():
        try:
            future.result()
        except Exception as error:  # the client raises KafkaException or TypeError, as it likes
            raise KafkaSetupError(
                f"topic {name} could not be created at {bootstrap_servers}: {error}"
            ) from error
