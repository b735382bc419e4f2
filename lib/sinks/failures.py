"""What an error of the Kafka client means for a transaction."""

from __future__ import annotations

from enum import Enum, auto

from confluent_kafka import KafkaError, KafkaException

from lib.errors import SinkError, SinkRejectedError, SinkRetryExhaustedError


class Failure(Enum):
    """What to do about an error.

    Only the first one of a transaction counts: later calls on a producer that failed answer with
    misleading codes.
    """

    FENCED = auto()  # another producer has this transactional.id: stop, never initialise again
    REJECTED = auto()  # will fail for ever: stop, tell what to change
    PASSING = auto()  # discard the producer, build a new one, try again


_FENCED = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
    }
)

_REJECTED = {
    KafkaError.MSG_SIZE_TOO_LARGE: "raise max.message.bytes of the topic",
    KafkaError.RECORD_LIST_TOO_LARGE: "raise max.message.bytes of the topic",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: (
        "grant {principal} READ on the input topic and WRITE on the output topics"
    ),
    KafkaError.GROUP_AUTHORIZATION_FAILED: (
        "kafka-acls.sh --add --allow-principal {principal} --operation READ --group {query_name}"
    ),
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: (
        "kafka-acls.sh --add --allow-principal {principal}"
        " --operation WRITE --transactional-id {transactional_id}"
    ),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "grant IDEMPOTENT_WRITE on the cluster",
    KafkaError.INVALID_TRANSACTION_TIMEOUT: (
        "lower transaction.timeout.ms, or raise transaction.max.timeout.ms of the brokers"
    ),
    KafkaError._AUTHENTICATION: "check the credentials among the --kafka options",
    KafkaError.SASL_AUTHENTICATION_FAILED: "check the credentials among the --kafka options",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "create the topic",
    KafkaError._UNKNOWN_TOPIC: "create the topic",
    KafkaError.TOPIC_EXCEPTION: "correct the topic's name",
}


def classify(error: KafkaError) -> Failure:
    """Tell what an error means for the transaction it ended."""
    if error.code() in _FENCED:
        return Failure.FENCED
    if error.code() in _REJECTED:
        return Failure.REJECTED
    return Failure.PASSING


def way_out(
    error: KafkaError,
    *,
    principal: str = "User:NAME",
    query_name: str = "NAME",
    of_partition: bool = False,
) -> str:
    """What to change, for an error that is :attr:`Failure.REJECTED`.

    Args:
        error: the first one of the transaction.
        principal: the job's user as Kafka names it.
        query_name: consumer group and transactional id.
        of_partition: whether the transactional id is one of many that begin with the query's name.
    """
    pattern = f"{query_name}- --resource-pattern-type prefixed" if of_partition else query_name
    return _REJECTED[error.code()].format(
        principal=principal, query_name=query_name, transactional_id=pattern
    )


def build_sink_error(what: str, failure: KafkaException) -> SinkError:
    """The error to raise ``from`` what an administrative call raised."""
    error: KafkaError = failure.args[0]
    message = f"{what}: {error.name()} {error.str()}"
    if classify(error) is Failure.REJECTED:
        return SinkRejectedError(message, hint=way_out(error))
    return SinkRetryExhaustedError(message)
