from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from lib.sinks.failures import Failure, classify, way_out


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (KafkaError._FENCED, Failure.FENCED),
        (KafkaError.PRODUCER_FENCED, Failure.FENCED),
        (KafkaError.INVALID_PRODUCER_EPOCH, Failure.FENCED),
        (KafkaError.MSG_SIZE_TOO_LARGE, Failure.REJECTED),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Failure.REJECTED),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, Failure.REJECTED),
        (KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, Failure.REJECTED),
        (KafkaError.INVALID_TRANSACTION_TIMEOUT, Failure.REJECTED),
        (KafkaError._TIMED_OUT, Failure.PASSING),
        (KafkaError._TRANSPORT, Failure.PASSING),
        (KafkaError._ALL_BROKERS_DOWN, Failure.PASSING),
        (KafkaError.COORDINATOR_NOT_AVAILABLE, Failure.PASSING),
        (KafkaError.NOT_ENOUGH_REPLICAS, Failure.PASSING),
        # What later calls on a producer that failed answer with: never final by itself.
        (KafkaError._CONFLICT, Failure.PASSING),
        (KafkaError._STATE, Failure.PASSING),
    ],
)
def test_each_error_has_one_consequence(code: int, failure: Failure) -> None:
    assert classify(KafkaError(code)) is failure


def test_a_final_error_names_what_to_change() -> None:
    assert "max.message.bytes" in way_out(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
