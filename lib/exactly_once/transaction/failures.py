"""Classifies errors of the Kafka client by what they mean for a transaction."""

from __future__ import annotations

from enum import Enum, auto

from confluent_kafka import KafkaError

from lib.errors import SinkClockError, SinkError, SinkRejectedError, SinkRetryExhaustedError
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.kafka.rights import Right


class Failure(Enum):
    """The classes of errors, by what the writer does about them.

    Only the first one of a transaction counts: later calls on a producer that failed answer with
    misleading codes.
    """

    FENCED = auto()  # another producer has this transactional.id: stop, never initialise again
    REJECTED = auto()  # it will fail for ever: stop, tell what to change
    TRANSIENT = auto()  # discard the producer, build a new one, try again


_FENCED = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
    }
)

_REJECTED = {
    KafkaError.MSG_SIZE_TOO_LARGE: "raise max.message.bytes of {topic}",
    KafkaError.RECORD_LIST_TOO_LARGE: "raise max.message.bytes of {topic}",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: (
        "grant {principal} READ on the input topic and WRITE on {topic}"
    ),
    KafkaError.GROUP_AUTHORIZATION_FAILED: "{grant}",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "{grant}",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "grant IDEMPOTENT_WRITE on the cluster",
    KafkaError.INVALID_TRANSACTION_TIMEOUT: (
        "raise transaction.max.timeout.ms of the brokers to {timeout_ms} or more"
    ),
    KafkaError._AUTHENTICATION: "check the credentials among the --kafka options",
    KafkaError.SASL_AUTHENTICATION_FAILED: "check the credentials among the --kafka options",
    KafkaError.INVALID_RECORD: (
        "give every record a key, or take cleanup.policy=compact from {topic}"
    ),
    KafkaError.INVALID_TIMESTAMP: (
        "set the clock of this machine, which is ahead of the brokers' by more than"
        " message.timestamp.after.max.ms of {topic}, or raise that"
    ),
    KafkaError.POLICY_VIOLATION: "ask who runs the brokers for their policy of messages",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "create {topic}, which is not there or was deleted",
    KafkaError._UNKNOWN_TOPIC: "create {topic}, which is not there or was deleted",
    KafkaError.TOPIC_EXCEPTION: "correct the name of {topic}",
}


# The errors of a call whose transaction or producer has failed before, for another reason.
_CONSEQUENCES = frozenset(
    {
        KafkaError._STATE,
        KafkaError._CONFLICT,
        KafkaError._PURGE_QUEUE,
        KafkaError._PURGE_INFLIGHT,
        # "Messages failed delivery": each of them has its own error.
        KafkaError._INCONSISTENT,
    }
)


def is_consequence(error: KafkaError | None) -> bool:
    """Tell whether an earlier error, which this one does not name, is the cause."""
    return error is None or error.code() in _CONSEQUENCES


def classify(error: KafkaError) -> Failure:
    """Tell what an error means for the transaction it ended."""
    if error.code() in _FENCED:
        return Failure.FENCED
    if error.code() in _REJECTED:
        return Failure.REJECTED
    return Failure.TRANSIENT


def way_out(error: KafkaError, settings: TransactionSettings, topic: str | None = None) -> str:
    """Say what to change after an error that is :attr:`Failure.REJECTED`, if possible as a command.

    Args:
        error: the first error of the transaction.
        settings: the settings of the writer; they name the job's user and what it asked for.
        topic: the topic of the message that failed; None if it was none, or is not known.
    """
    principal = settings.cluster.principal
    return _REJECTED[error.code()].format(
        principal=principal,
        topic="the output topic" if topic is None else f"topic {topic}",
        grant=_find_right(error, settings).command(principal),
        timeout_ms=round(settings.transaction_timeout_s * 1000),
    )


def _find_right(error: KafkaError, settings: TransactionSettings) -> Right:
    """Return the right that the writer lacks on its group or on its transactional id."""
    query = settings.query_name
    if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
        return Right("READ", "group", query, "commits what has been answered")
    # The ids of partitions begin with the query's name; versions before 0.1.0 put a "-" after it.
    of_partition = settings.transactional_id is not None
    separator = (settings.transactional_id or query).removeprefix(query)[:1]
    name = f"{query}{separator}"
    return Right("WRITE", "transactional id", name, "writes in transactions", of_partition)


def build_sink_error(
    what: str, error: KafkaError, settings: TransactionSettings, topic: str | None = None
) -> SinkError:
    """Build the error to raise after a client call has failed, unless the call was fenced.

    Args:
        what: the beginning of the message.
        error: the first error of the transaction.
        settings: the settings of the writer.
        topic: the topic of the message that failed; None if it was none, or is not known.
    """
    reason = f"{error.name()} {error.str()}" + ("" if topic is None else f", topic {topic}")
    if classify(error) is Failure.REJECTED:
        is_clock = error.code() == KafkaError.INVALID_TIMESTAMP
        kind = SinkClockError if is_clock else SinkRejectedError
        return kind(f"{what}: Kafka refuses it: {reason}", hint=way_out(error, settings, topic))
    return SinkRetryExhaustedError(f"{what}: {reason}")
