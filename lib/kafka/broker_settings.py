"""Reads the settings of brokers: their version, and for how long they keep and allow what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from lib.findings import Finding, Severity
from lib.kafka.admin import ANSWER_TIMEOUT_S, ask_broker_settings, ask_brokers

#: Broker → name of a setting → its value.
BrokerSettings = Mapping[int, Mapping[str, str]]

# Brokers up to 3.9 have this setting, whose default is their version; Kafka 4.0 has removed it. No
# client library without Java tells the version in another way.
_VERSION = "inter.broker.protocol.version"
_OLDEST_TRIED = (3, 9)
_TIMEOUT_S = 5.0
# The brokers' setting → seconds in its unit.
_RETENTIONS = {"offsets.retention.minutes": 60.0, "transactional.id.expiration.ms": 0.001}
_LONGEST_TRANSACTION = "transaction.max.timeout.ms"


def read_broker_settings(
    admin: AdminClient, brokers: Iterable[int], timeout_s: float = ANSWER_TIMEOUT_S
) -> dict[int, dict[str, str]]:
    """Read broker → its settings.

    Brokers that do not answer are left out: the user has no right to ask, or they are away.
    """
    # All brokers are asked at the same time.
    answers = {broker: ask_broker_settings(admin, broker, timeout_s) for broker in brokers}
    found = {}
    for broker, answer in answers.items():
        try:
            entries = answer.result()
        except KafkaException:
            continue
        found[broker] = {key: it.value for key, it in entries.items() if it.value is not None}
    return found


def find_versions(settings: BrokerSettings) -> dict[int, str | None]:
    """Find broker → its version in Kafka's form, ``3.6-IV2``; None for 4.0 and newer. Pure."""
    return {broker: values.get(_VERSION) for broker, values in settings.items()}


def judge_versions(versions: Mapping[int, str | None]) -> Finding:
    """Compare versions with those that were tried. Pure.

    Args:
        versions: broker → version; see :func:`find_versions`.
    """
    oldest = ".".join(map(str, _OLDEST_TRIED))
    expected = f"{oldest} or newer"
    old = {
        broker: version
        for broker, version in sorted(versions.items())
        if version is not None and _read_numbers(version) < _OLDEST_TRIED
    }
    if not old:
        names = sorted({version or "4.0 or newer" for version in versions.values()})
        return Finding.ok("Kafka's version", ", ".join(names), expected)
    listed = ", ".join(f"broker {broker} is {version}" for broker, version in old.items())
    return Finding(
        *(Severity.WARNING, "Kafka's version", listed, expected),
        f"Kafka before {oldest} was never tried with this job, and {listed} by its {_VERSION}",
        "upgrade the brokers; docs/guarantees.md says what was tried",
    )


def judge_retentions(settings: Mapping[str, str], outage_s: float) -> list[Finding]:
    """Compare how long a broker remembers a job that stands still with the longest outage. Pure.

    Args:
        settings: the settings of a broker.
        outage_s: the longest time for which the job may stand still, in seconds.
    """
    findings = []
    for name, seconds in _find_retentions(settings).items():
        check, found = f"brokers: {name}", f"{settings[name]} ({seconds / 3600:g} h)"
        expected = f"more than {outage_s / 3600:g} h, the expected outage"
        if seconds > outage_s:
            findings.append(Finding.ok(check, found, expected))
            continue
        findings.append(
            Finding(
                *(Severity.WARNING, check, found, expected),
                f"brokers forget a job that stands still for {seconds / 3600:g} h: its next start"
                " may be refused",
                f"raise {name} of the brokers",
            )
        )
    return findings


def judge_transaction_timeout(settings: Mapping[str, str], timeout_s: float) -> list[Finding]:
    """Compare the longest transaction that a broker allows with the job's own. Pure.

    Args:
        settings: the settings of a broker.
        timeout_s: the value of ``--transaction-timeout``, in seconds.
    """
    value = settings.get(_LONGEST_TRANSACTION)
    if value is None:
        return []
    check, needed_ms = f"brokers: {_LONGEST_TRANSACTION}", round(timeout_s * 1000)
    expected = f"at least {needed_ms}, --transaction-timeout in milliseconds"
    if int(value) >= needed_ms:
        return [Finding.ok(check, value, expected)]
    return [
        Finding(
            *(Severity.ERROR, check, value, expected),
            f"{check} is {value}: brokers refuse the job's transactions",
            f"raise it, or lower --transaction-timeout to {int(value) // 1000}",
        )
    ]


def find_shortest_retention_s(admin: AdminClient) -> float | None:
    """Find the seconds after which brokers forget a group's offsets or a transactional id.

    One broker is asked, because the settings are the same on all of them.

    Returns:
        The seconds; None without the right DESCRIBE_CONFIGS on the cluster.
    """
    try:
        broker = min(ask_brokers(admin, _TIMEOUT_S))
    except (KafkaException, ValueError):
        return None
    settings = read_broker_settings(admin, [broker], _TIMEOUT_S).get(broker, {})
    return min(_find_retentions(settings).values(), default=None)


def _find_retentions(settings: Mapping[str, str]) -> dict[str, float]:
    """Find setting → seconds after which a broker forgets what has not been used."""
    return {
        name: float(settings[name]) * unit_s
        for name, unit_s in _RETENTIONS.items()
        if name in settings
    }


def _read_numbers(version: str) -> tuple[int, ...]:
    """Read the numbers of a version: (3, 6) of ``3.6-IV2``."""
    return tuple(int(it) for it in re.findall(r"\d+", version.partition("-")[0])[:2])
