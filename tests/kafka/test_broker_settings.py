"""The job says at its start if the brokers' version has not been tried."""

from __future__ import annotations

import pytest

from lib.findings import Severity
from lib.kafka.admin import build_admin, list_brokers
from lib.kafka.broker_settings import (
    find_versions,
    judge_retentions,
    judge_transaction_timeout,
    judge_versions,
    read_broker_settings,
)
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
    assert judge_versions(versions).severity is Severity.OK


def test_older_brokers_are_named_with_what_they_say_of_themselves() -> None:
    found = judge_versions({3: "2.8-IV1", 1: "3.6-IV2", 2: None, 4: "3.10-IV0"})

    assert found.severity is Severity.WARNING
    assert found.text == (
        "Kafka before 3.9 was never tried with this job, and broker 1 is 3.6-IV2, broker 3 is"
        " 2.8-IV1 by its inter.broker.protocol.version"
    )
    assert found.hint == "upgrade the brokers; docs/guarantees.md says what was tried"


@pytest.mark.parametrize(
    ("minutes", "outage_h", "severity"),
    [("10080", 72.0, "OK"), ("10080", 168.0, "WARNING"), ("1440", 72.0, "WARNING")],
)
def test_what_brokers_forget_is_compared_with_the_longest_outage(
    minutes: str, outage_h: float, severity: str
) -> None:
    (found,) = judge_retentions({"offsets.retention.minutes": minutes}, outage_h * 3600)

    assert found.check == "brokers: offsets.retention.minutes"
    assert found.severity.name == severity
    assert found.found == {"10080": "10080 (168 h)", "1440": "1440 (24 h)"}[minutes]


@pytest.mark.parametrize(("limit_ms", "severity"), [("60000", "OK"), ("59999", "ERROR")])
def test_brokers_have_to_allow_the_longest_transaction(limit_ms: str, severity: str) -> None:
    (found,) = judge_transaction_timeout({"transaction.max.timeout.ms": limit_ms}, 60.0)

    assert found.severity.name == severity
    assert found.expected == "at least 60000, --transaction-timeout in milliseconds"
    remedies = {"OK": "", "ERROR": "raise it, or lower --transaction-timeout to 59"}
    assert found.hint == remedies[severity]


def test_settings_that_a_broker_does_not_tell_are_not_judged() -> None:
    assert judge_retentions({}, 3600) == []
    assert judge_transaction_timeout({}, 60.0) == []


def test_a_broker_of_the_tested_version_has_no_such_setting(broker: Broker) -> None:
    admin = build_admin(broker.cluster)

    settings = read_broker_settings(admin, list_brokers(admin))

    assert set(find_versions(settings).values()) == {None}
