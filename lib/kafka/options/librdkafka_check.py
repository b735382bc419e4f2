"""Lets librdkafka check the options of its clients, without a connection."""

from __future__ import annotations

import re
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, Producer

from lib.errors import SettingsError
from lib.kafka.options import librdkafka_list
from lib.kafka.options.forms import to_librdkafka
from lib.kafka.options.sign_in import KERBEROS, find_mechanism
from lib.kafka.secrets import hide_secrets

# librdkafka reads the first digits of a number, and passes over the rest: "10 s" would be 10 ms.
_NUMBERS = {
    "integer": ("a whole number", re.compile(r"[+-]?(0x[0-9a-fA-F]+|[0-9]+)")),
    "float": ("a number", re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")),
}


def check_librdkafka(options: Mapping[str, str]) -> None:
    """Refuse options that a consumer or an idempotent producer of librdkafka does not take.

    Args:
        options: the options as with ``--kafka``.

    Raises:
        SettingsError: a value is wrong, values contradict each other, a file cannot be read, or the
            library was built without what they need.
    """
    own: dict[str, str | int | bool] = {**to_librdkafka(options), "log_level": 0}
    _check_numbers(options)
    if find_mechanism(options) == KERBEROS and not _has_kerberos():
        raise SettingsError(
            f"--kafka sasl.mechanism={KERBEROS} (Kerberos): the installed librdkafka was built"
            " without it, as those on PyPI are",
            hint="build librdkafka with libsasl2 and confluent-kafka from its source, and give"
            " Java's sasl.jaas.config as well; or let the cluster take SCRAM, OAuth or client"
            " certificates too",
        )
    try:
        # Without addresses they connect to no broker; without a protocol they fetch no token again.
        Producer(own)
        own.pop("security.protocol", None)
        Producer({**own, "enable.idempotence": True})
        Consumer({**own, "group.id": "check"}).close()
    except KafkaException as error:
        reason = hide_secrets(error.args[0].str().strip(), options)
        raise SettingsError(
            f"librdkafka does not take the --kafka options: {reason}",
            hint="correct the option; docs/settings.md says whose names are used",
        ) from None


def _check_numbers(options: Mapping[str, str]) -> None:
    for name, value in options.items():
        number = _NUMBERS.get(librdkafka_list.OPTIONS.get(name, ""))
        if number is not None and number[1].fullmatch(value) is None:
            raise SettingsError(f"--kafka {name}: expected {number[0]}, found {value!r}")


def _has_kerberos() -> bool:
    try:
        Producer({"builtin.features": "sasl_gssapi", "log_level": 0})
    except KafkaException:
        return False
    return True
