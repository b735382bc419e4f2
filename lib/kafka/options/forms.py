"""Writes options in the forms of librdkafka and of Kafka's Java clients. Pure.

The families share most names. Where they differ, librdkafka's form is translated, so that
``--kafka KEY=VALUE`` is said once; an option that one family alone knows goes to that one alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from lib.errors import SettingsError
from lib.kafka.options.families import keep_java, keep_librdkafka
from lib.kafka.options.java_values import check_java_values
from lib.kafka.options.sign_in import write_java_login

# Whether the name in a broker's certificate is compared. What is no algorithm turns it off, which
# librdkafka writes as "none" and Java as an empty text.
_VERIFICATION = "ssl.endpoint.identification.algorithm"
_NO_VERIFICATION = ("", "none")


def to_librdkafka(options: Mapping[str, str]) -> dict[str, str]:
    """Return the options in librdkafka's form."""
    return {**keep_librdkafka(options), **_choose_verification(options, "none")}


def to_java(options: Mapping[str, str]) -> dict[str, str]:
    """Return the options in the form of the Java clients.

    Raises:
        SettingsError: Java has no form for one of the options, or would refuse a value.
    """
    java = {**keep_java(options), **_choose_verification(options, "")}
    java |= write_java_login(options) | _trust(options) | _certify(options)
    check_java_values(java)
    return java


def _choose_verification(options: Mapping[str, str], off: str) -> dict[str, str]:
    if options.get(_VERIFICATION, "https").lower() in _NO_VERIFICATION:
        return {_VERIFICATION: off}
    return {}


def _trust(options: Mapping[str, str]) -> dict[str, str]:
    """Return Java's options for the authorities whose certificates are trusted."""
    if options.keys() & {"ssl.truststore.location", "ssl.truststore.certificates"}:
        return {}
    if "ssl.ca.location" in options:
        return {
            "ssl.truststore.location": options["ssl.ca.location"],
            "ssl.truststore.type": "PEM",
        }
    if "ssl.ca.pem" in options:
        return {
            "ssl.truststore.certificates": options["ssl.ca.pem"],
            "ssl.truststore.type": "PEM",
        }
    return {}


def _certify(options: Mapping[str, str]) -> dict[str, str]:
    """Return Java's options for the client's own certificate and key.

    Raises:
        SettingsError: the options name two files, and Java takes one.
    """
    java: dict[str, str] = {}
    certificate, key = options.get("ssl.certificate.location"), options.get("ssl.key.location")
    if certificate is not None or key is not None:
        if certificate != key:
            raise SettingsError(
                "--kafka ssl.certificate.location and ssl.key.location name two files, and the"
                " Java client takes one",
                hint="put the key (PKCS8) and the certificate into one PEM file, name it for both",
            )
        java |= {"ssl.keystore.location": key or "", "ssl.keystore.type": "PEM"}
    if "ssl.certificate.pem" in options and "ssl.key.pem" in options:
        java |= {
            "ssl.keystore.certificate.chain": options["ssl.certificate.pem"],
            "ssl.keystore.key": options["ssl.key.pem"],
            "ssl.keystore.type": "PEM",
        }
    return java
