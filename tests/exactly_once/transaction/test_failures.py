from __future__ import annotations

import shlex
from dataclasses import replace

import pytest
from confluent_kafka import KafkaError

from lib.errors import SinkRejectedError
from lib.exactly_once.transaction.failures import (
    Failure,
    build_sink_error,
    classify,
    is_consequence,
    way_out,
)
from lib.exactly_once.transaction.settings import TransactionSettings


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
        (KafkaError.INVALID_RECORD, Failure.REJECTED),
        (KafkaError.INVALID_TIMESTAMP, Failure.REJECTED),
        (KafkaError.POLICY_VIOLATION, Failure.REJECTED),
        (KafkaError._TIMED_OUT, Failure.TRANSIENT),
        (KafkaError._TRANSPORT, Failure.TRANSIENT),
        (KafkaError._ALL_BROKERS_DOWN, Failure.TRANSIENT),
        (KafkaError.COORDINATOR_NOT_AVAILABLE, Failure.TRANSIENT),
        (KafkaError.NOT_ENOUGH_REPLICAS, Failure.TRANSIENT),
        # Later calls on a producer that has failed return these errors, which are never final by
        # themselves.
        (KafkaError._CONFLICT, Failure.TRANSIENT),
        (KafkaError._STATE, Failure.TRANSIENT),
    ],
)
def test_each_error_has_one_consequence(code: int, failure: Failure) -> None:
    assert classify(KafkaError(code)) is failure


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (KafkaError._STATE, True),
        (KafkaError._CONFLICT, True),
        (KafkaError._PURGE_QUEUE, True),
        (KafkaError._PURGE_INFLIGHT, True),
        (KafkaError._INCONSISTENT, True),
        (KafkaError._FENCED, False),
        (KafkaError._TIMED_OUT, False),
        (KafkaError.MSG_SIZE_TOO_LARGE, False),
    ],
)
def test_a_call_on_a_transaction_that_has_failed_does_not_tell_why(
    code: int, expected: bool
) -> None:
    assert is_consequence(KafkaError(code)) is expected


SETTINGS = TransactionSettings("kafka:9092", "churn", "in", {"sasl.username": "ada"})


@pytest.mark.parametrize(
    ("code", "topic", "hint"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, "dead", "raise max.message.bytes of topic dead"),
        (KafkaError.MSG_SIZE_TOO_LARGE, None, "raise max.message.bytes of the output topic"),
        (
            KafkaError.UNKNOWN_TOPIC_OR_PART,
            "out",
            "create topic out, which is not there or was deleted",
        ),
        (KafkaError._UNKNOWN_TOPIC, "out", "create topic out, which is not there or was deleted"),
        (
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
            "out",
            "grant User:ada READ on the input topic and WRITE on topic out",
        ),
        (
            KafkaError.INVALID_RECORD,
            "out",
            "give every record a key, or take cleanup.policy=compact from topic out",
        ),
    ],
)
def test_a_final_error_names_the_topic_and_what_to_change(
    code: int, topic: str | None, hint: str
) -> None:
    assert way_out(KafkaError(code), SETTINGS, topic) == hint


def test_a_timeout_that_the_brokers_do_not_allow_names_their_setting_and_its_value() -> None:
    hint = way_out(KafkaError(KafkaError.INVALID_TRANSACTION_TIMEOUT), SETTINGS)

    assert hint == "raise transaction.max.timeout.ms of the brokers to 60000 or more"


def test_a_command_quotes_the_subject_of_a_certificate() -> None:
    settings = replace(SETTINGS, kafka={"sasl.username": "CN=ada, O=x"})

    hint = way_out(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED), settings)

    assert shlex.split(hint)[3] == "User:CN=ada, O=x"
    assert hint.endswith("--operation READ --group churn")


@pytest.mark.parametrize(
    ("transactional_id", "resource"),
    [(None, "churn"), ("churn-in-3", "churn- --resource-pattern-type prefixed")],
)
def test_a_missing_right_comes_with_the_command_that_grants_it(
    transactional_id: str | None, resource: str
) -> None:
    settings = replace(SETTINGS, transactional_id=transactional_id)
    error = build_sink_error(
        "batch 7", KafkaError(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED), settings
    )

    assert isinstance(error, SinkRejectedError)
    assert error.message.startswith("batch 7: Kafka refuses it: TRANSACTIONAL_ID_AUTHORIZATION")
    assert "User:ada" in str(error)
    assert f"--transactional-id {resource}" in str(error)


def test_a_clock_that_is_ahead_of_the_brokers_is_told_and_may_be_set() -> None:
    refusal = KafkaError(KafkaError.INVALID_TIMESTAMP)
    error = build_sink_error("batch 7", refusal, SETTINGS, "out")

    assert error.is_transient
    assert str(error) == (
        "batch 7: Kafka refuses it: INVALID_TIMESTAMP Broker: Invalid timestamp, topic out (set the"
        " clock of this machine, which is ahead of the brokers' by more than"
        " message.timestamp.after.max.ms of topic out, or raise that)"
    )
    # All other refusals stay until somebody changes something.
    large = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    assert not build_sink_error("batch 7", large, SETTINGS, "out").is_transient


def test_what_may_pass_is_said_to() -> None:
    error = build_sink_error("batch 7", KafkaError(KafkaError._TRANSPORT), SETTINGS)

    assert error.is_transient


def test_settings_are_printed_without_the_options_that_may_hold_passwords() -> None:
    assert "ada" not in repr(SETTINGS)
