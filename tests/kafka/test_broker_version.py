"""The job says at its start if the brokers' version has not been tried."""

from __future__ import annotations

import logging

import pytest

from lib.kafka.admin import build_admin, list_brokers
from lib.kafka.broker_version import judge_versions, read_versions, warn_of_old_brokers
from lib.tools.broker import Broker


@pytest.mark.parametrize(
    "versions",
    [
        {1: None},
        {1: None, 2: None, 3: None},
        {1: "3.9-IV0"},
        # Kafka 4 no longer has this setting; a broker of 3.9 may be on its way there.
        {1: "3.9-IV0", 2: None},
    ],
)
def test_nothing_is_said_of_versions_that_were_tried(versions: dict[int, str | None]) -> None:
    assert judge_versions(versions) is None


def test_older_brokers_are_named_with_what_they_say_of_themselves() -> None:
    warning = judge_versions({3: "2.8-IV1", 1: "3.6-IV2", 2: None, 4: "3.10-IV0"})

    assert warning == (
        "Kafka before 3.9 was never tried with this job, and broker 1 is 3.6-IV2, broker 3 is"
        " 2.8-IV1 by its inter.broker.protocol.version"
        " (upgrade the brokers; docs/guarantees.md says what was tried)"
    )


def test_a_broker_of_the_tested_version_has_no_such_setting_and_is_passed_over(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    admin = build_admin(broker.cluster)

    with caplog.at_level(logging.INFO):
        warn_of_old_brokers(admin, list_brokers(admin))

    assert set(read_versions(admin, list_brokers(admin)).values()) == {None}

    assert caplog.messages == []
