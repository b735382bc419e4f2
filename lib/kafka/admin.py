"""Asks a Kafka cluster about its topics, groups and brokers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Literal

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    ConfigEntry,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)

from lib.errors import KafkaSetupError, SettingsError
from lib.kafka.cluster import Cluster
from lib.kafka.partitions import Position
from lib.kafka.retry import ask_until_answered

# A start must fail within 30 s; this limit leaves room for Python and Spark.
ANSWER_TIMEOUT_S = 10.0
_NO_LEADER_YET = frozenset(
    {
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)


def build_admin(cluster: Cluster) -> AdminClient:
    """Build a client for the questions below, which raises errors instead of logging them.

    Keep the client in a variable, because its answers are lost with it.
    """
    return AdminClient({"log_level": 0, **cluster.for_librdkafka()})


def refuse_missing_topics(
    cluster: Cluster, missing: Sequence[str], *, may_be_hidden: bool = False
) -> None:
    """Raise an error if topics are missing.

    Args:
        cluster: the cluster that lacks them.
        missing: the names of the missing topics.
        may_be_hidden: whether they may exist, and the user has no right to see them.

    Raises:
        KafkaSetupError: topics are missing; the error names them.
    """
    if missing:
        raise KafkaSetupError(
            f"missing at {cluster.bootstrap_servers}:"
            f" {', '.join(f'topic {name}' for name in missing)}",
            hint="create it with kafka-topics.sh --create --topic NAME, or name another one"
            + ("; one that this user has no right to see looks the same" if may_be_hidden else ""),
        )


def has_topic(admin: AdminClient, topic: str) -> bool:
    """Tell whether the topic exists and the user may see it.

    Raises:
        KafkaSetupError: no broker answers any more.
    """
    try:
        return topic in admin.list_topics(timeout=ANSWER_TIMEOUT_S).topics
    except KafkaException as error:
        raise _build_silence_error(error) from error


def list_brokers(admin: AdminClient) -> list[int]:
    """List the ids of the brokers that the cluster has now.

    Raises:
        KafkaSetupError: none of them answers any more.
    """
    try:
        return ask_brokers(admin)
    except KafkaException as error:
        raise _build_silence_error(error) from error


def ask_brokers(admin: AdminClient, timeout_s: float = ANSWER_TIMEOUT_S) -> list[int]:
    """Ask for the ids of the brokers that the cluster has now, without a word about its topics.

    Raises:
        KafkaException: none of them answers.
    """
    found = admin.describe_cluster(request_timeout=timeout_s).result()
    return sorted(node.id for node in found.nodes)


def _build_silence_error(error: KafkaException) -> KafkaSetupError:
    return KafkaSetupError(f"no Kafka broker answers: {error.args[0].str()}")


def ask_broker_settings(
    admin: AdminClient, broker: int, timeout_s: float = ANSWER_TIMEOUT_S
) -> Future[dict[str, ConfigEntry]]:
    """Ask a broker for its settings by name; each broker answers only for itself.

    The answer is a KafkaException if the user has no right to it, or the broker is away.
    """
    answers: dict[ConfigResource, Future[dict[str, ConfigEntry]]] = admin.describe_configs(
        [ConfigResource(ResourceType.BROKER, str(broker))], request_timeout=timeout_s
    )
    (answer,) = answers.values()
    return answer


def list_partitions(
    client: AdminClient | Consumer, topic: str, timeout_s: float = ANSWER_TIMEOUT_S
) -> list[int]:
    """List a topic's partitions in order.

    A topic that was deleted is not created again, as brokers that create topics by themselves do
    when a producer or an admin client asks for the metadata of one topic.

    Raises:
        KafkaException: the brokers do not tell, or there is no such topic.
    """
    if isinstance(client, AdminClient):
        answers = client.describe_topics(TopicCollection([topic]), request_timeout=timeout_s)
        return sorted(partition.id for partition in answers[topic].result().partitions)
    metadata = client.list_topics(topic, timeout=timeout_s).topics[topic]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    return sorted(metadata.partitions)


def read_offsets(
    admin: AdminClient, topic: str, position: Literal["earliest", "latest"]
) -> dict[int, int]:
    """Read partition → oldest offset of a topic, or its last stable offset as "latest".

    The last stable offset is where the oldest open transaction begins, and the end for Spark and
    all other ``read_committed`` readers.

    Raises:
        KafkaException: the brokers do not tell.
    """
    spec: OffsetSpec = getattr(OffsetSpec, position)()  # the client's own are untyped
    return _ask_patiently(admin, topic, spec)


def find_offsets(
    admin: AdminClient, topic: str, position: Position, *, is_end: bool = False
) -> dict[int, int]:
    """Find partition → offset of a position in a topic.

    A time stands for the first record that is not older; where all are, for the last stable offset.

    Args:
        admin: a client of the cluster.
        topic: the name of the topic.
        position: the position.
        is_end: whether it is the end of a range, which has to be the same whenever it is looked
            for. Records before it may be gone.

    Returns:
        The offsets of all partitions, or of those that the position names.

    Raises:
        SettingsError: an offset lies outside of what the topic holds, a partition is missing, or
            the end of a range lies in the future.
        KafkaSetupError: a transaction is open before the end of a range.
        KafkaException: the brokers do not tell.
    """
    if isinstance(position, str):
        return read_offsets(admin, topic, position)
    earliest, latest = read_offsets(admin, topic, "earliest"), read_offsets(admin, topic, "latest")
    if isinstance(position, datetime):
        if is_end and position > datetime.now(UTC):
            raise SettingsError(
                f"the range ends at {position.isoformat()}, in the future: records may still come",
                hint="name an earlier end, or wait",
            )
        spec = OffsetSpec.for_timestamp(int(position.timestamp() * 1000))
        found = _ask_patiently(admin, topic, spec)
        if is_end and min(found.values()) < 0:
            _refuse_open_transactions(admin, topic)
        return {it: at if at >= 0 else latest.get(it, 0) for it, at in found.items()}
    named = dict.fromkeys(latest, position) if isinstance(position, int) else dict(position)
    for partition, offset in sorted(named.items()):
        if partition not in latest:
            raise SettingsError(
                f"topic {topic} has no partition {partition}; found {len(latest)} partitions,"
                " counted from 0"
            )
        if not (0 if is_end else earliest[partition]) <= offset <= latest[partition]:
            raise SettingsError(
                f"{topic}[{partition}] has no offset {offset}: its oldest record is"
                f" @{earliest[partition]}, and it ends @{latest[partition]}",
                hint="name an offset between them, earliest or latest",
            )
    return named


def _refuse_open_transactions(admin: AdminClient, topic: str) -> None:
    """Refuse an end by time while records before it may still become visible."""
    open_ones = [it for it, (stable, end) in read_ends(admin, topic).items() if end > stable]
    if open_ones:
        raise KafkaSetupError(
            f"a transaction is open in the partitions {open_ones} of topic {topic}, whose records"
            " may belong to the range",
            hint="wait until its producer has ended it, or its timeout has",
        )


def read_ends(admin: AdminClient, topic: str) -> dict[int, tuple[int, int]]:
    """Read partition → (last stable offset, end), which differ while a transaction is open.

    The end is asked for first, so that records that come meanwhile make no difference.

    Raises:
        KafkaException: the brokers do not tell.
    """
    spec: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]

    def ask() -> dict[int, tuple[int, int]]:
        partitions = list_partitions(admin, topic)
        ends = _ask_partitions(admin, topic, partitions, spec, IsolationLevel.READ_UNCOMMITTED)
        stable = _ask_partitions(admin, topic, partitions, spec)
        return {it: (stable[it], ends[it]) for it in sorted(stable.keys() & ends.keys())}

    may_pass = _NO_LEADER_YET - {KafkaError.UNKNOWN_TOPIC_OR_PART}
    return ask_until_answered(ask, lambda error: error.code() in may_pass, ANSWER_TIMEOUT_S)


def _ask_patiently(admin: AdminClient, topic: str, spec: OffsetSpec) -> dict[int, int]:
    return ask_until_answered(
        lambda: _ask_partitions(admin, topic, list_partitions(admin, topic), spec),
        # A partition that was made a moment ago, or whose broker has died, has no leader yet.
        lambda error: error.code() in _NO_LEADER_YET,
        ANSWER_TIMEOUT_S,
    )


def _ask_partitions(
    admin: AdminClient,
    topic: str,
    partitions: Sequence[int],
    spec: OffsetSpec,
    isolation: IsolationLevel = IsolationLevel.READ_COMMITTED,
) -> dict[int, int]:
    answers = admin.list_offsets(
        {TopicPartition(topic, partition): spec for partition in partitions},
        isolation_level=isolation,
        request_timeout=ANSWER_TIMEOUT_S,
    )
    return {asked_of.partition: future.result().offset for asked_of, future in answers.items()}


def read_topic_id(admin: AdminClient, topic: str) -> str:
    """Read Kafka's id of a topic as 32 hexadecimal digits; a recreated topic has another one.

    Raises:
        KafkaException: the brokers do not tell, or there is no such topic.
    """
    return ask_topic_id(admin, topic)()


def ask_topic_id(
    admin: AdminClient, topic: str, timeout_s: float = ANSWER_TIMEOUT_S
) -> Callable[[], str]:
    """Ask for a topic's id, and return a function that waits for the answer."""
    answers = admin.describe_topics(TopicCollection([topic]), request_timeout=timeout_s)

    def wait() -> str:
        found = answers[topic].result().topic_id
        mask = (1 << 64) - 1
        high, low = found.get_most_significant_bits(), found.get_least_significant_bits()
        return f"{high & mask:016x}{low & mask:016x}"

    return wait


def count_members(admin: AdminClient, group: str) -> int:
    """Count the consumers that have joined a group; 0 if there is no such group.

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
