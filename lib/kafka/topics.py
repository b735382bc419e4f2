"""Creates and removes topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from lib.errors import KafkaSetupError
from lib.kafka.admin import build_admin
from lib.kafka.cluster import Cluster
from lib.waiting import wait_until

# This is long enough for a broker on a loaded machine.
_ANSWER_TIMEOUT_S = 30.0
_GONE_ALREADY = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.GROUP_ID_NOT_FOUND,
    KafkaError._NOENT,  # the client's own error for a topic that it does not find
)


def create_topics(
    cluster: Cluster, partitions: Mapping[str, int], config: Mapping[str, str] | None = None
) -> None:
    """Create topics, and wait until the broker has them; others of its cluster learn of them soon.

    Args:
        cluster: the cluster that gets the topics.
        partitions: topic → number of partitions.
        config: settings that all the topics get.

    Raises:
        KafkaSetupError: a topic exists already, or the broker refuses it or does not answer.
    """
    admin = build_admin(cluster)
    created = admin.create_topics(
        [
            NewTopic(name, num_partitions=count, replication_factor=-1, config=dict(config or {}))
            for name, count in partitions.items()
        ],
        operation_timeout=_ANSWER_TIMEOUT_S,
        request_timeout=_ANSWER_TIMEOUT_S,
    )
    for name, future in created.items():
        try:
            future.result()
        except Exception as error:  # the client raises KafkaException or TypeError, as it likes
            raise KafkaSetupError(
                f"topic {name} could not be created at {cluster.bootstrap_servers}: {error}"
            ) from error


def await_topics(admin: AdminClient, topics: Sequence[str]) -> bool:
    """Wait until the brokers show topics that were created, and tell whether they do."""
    return wait_until(
        lambda: set(topics) <= admin.list_topics(timeout=_ANSWER_TIMEOUT_S).topics.keys(),
        _ANSWER_TIMEOUT_S,
    )


def remove_topics(
    admin: AdminClient, topics: Sequence[str], groups: Sequence[str] = ()
) -> dict[str, Exception]:
    """Delete topics and consumer groups; one that does not exist counts as deleted.

    Returns:
        Name → error, for those that could not be deleted.
    """
    futures = dict(admin.delete_topics(list(topics), operation_timeout=_ANSWER_TIMEOUT_S))
    if groups:
        futures |= admin.delete_consumer_groups(list(groups))
    failures: dict[str, Exception] = {}
    for name, future in futures.items():
        try:
            future.result(_ANSWER_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() not in _GONE_ALREADY:
                failures[name] = error
        except TimeoutError:
            failures[name] = TimeoutError("no answer")
    return failures
