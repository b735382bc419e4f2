"""Questions to a Kafka cluster, asked before anything is started."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from lib.errors import KafkaSetupError
from lib.kafka_options import for_librdkafka

# A start must fail within 30 s; this leaves room for Python and Spark.
ANSWER_TIMEOUT_S = 10.0


def build_admin(bootstrap_servers: str, options: Mapping[str, str]) -> AdminClient:
    """A client for the questions below. Quiet: whatever fails is raised.

    Keep it in a variable: its answers die with it.
    """
    return AdminClient({"log_level": 0, **for_librdkafka(bootstrap_servers, options)})


def check_topics(admin: AdminClient, bootstrap_servers: str, topics: Iterable[str]) -> None:
    """Make sure that the brokers answer and that every topic exists.

    Raises:
        KafkaSetupError: names the address or the missing topics.
    """
    try:
        existing = admin.list_topics(timeout=ANSWER_TIMEOUT_S).topics
    except KafkaException as error:
        raise KafkaSetupError(
            f"no Kafka broker answers at {bootstrap_servers}: {error.args[0].str()}"
        ) from error
    missing = [topic for topic in topics if topic not in existing]
    if missing:
        raise KafkaSetupError(
            f"missing at {bootstrap_servers}: {', '.join(f'topic {name}' for name in missing)}",
            hint="create it with kafka-topics.sh --create --topic NAME, or name another one",
        )


def read_offsets(
    admin: AdminClient, topic: str, position: Literal["earliest", "latest"]
) -> dict[int, int]:
    """Partition → oldest or next offset of a topic.

    Raises:
        KafkaException: the brokers do not tell.
    """
    metadata = admin.list_topics(topic, timeout=ANSWER_TIMEOUT_S).topics[topic]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    spec: OffsetSpec = getattr(OffsetSpec, position)()  # the client's own are untyped
    asked = {TopicPartition(topic, partition): spec for partition in metadata.partitions}
    answers = admin.list_offsets(asked, request_timeout=ANSWER_TIMEOUT_S)
    return {asked_of.partition: future.result().offset for asked_of, future in answers.items()}


def read_topic_id(admin: AdminClient, topic: str) -> str:
    """Kafka's id of a topic, as 32 hexadecimal digits; made anew, a topic has another.

    Raises:
        KafkaException: the brokers do not tell.
    """
    answers = admin.describe_topics(TopicCollection([topic]), request_timeout=ANSWER_TIMEOUT_S)
    found = answers[topic].result().topic_id
    mask = (1 << 64) - 1
    high, low = found.get_most_significant_bits(), found.get_least_significant_bits()
    return f"{high & mask:016x}{low & mask:016x}"


def count_members(admin: AdminClient, group: str) -> int:
    """Consumers that have joined a group; 0 where there is no such group.

    Raises:
        KafkaException: the brokers do not tell.
    """
    answers = admin.describe_consumer_groups([group], request_timeout=ANSWER_TIMEOUT_S)
    try:
        return len(answers[group].result().members)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return 0
        raise
