"""The address of a Kafka cluster and the options of its clients. Pure.

Spark's connector is a Java client, the exactly-once sink uses librdkafka. They share most names;
where they differ, each gets its own form, so that ``--kafka KEY=VALUE`` is said once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lib.errors import SettingsError

_PORT = re.compile(r":\d+$")
_JAAS_USER = re.compile(r'username="((?:[^"\\]|\\.)*)"')
# Only the Java client knows these.
_JAVA_ONLY = (
    "sasl.jaas.config",
    "sasl.login.",
    "sasl.client.callback.handler.class",
    "ssl.truststore.",
    "ssl.keystore.type",
    "ssl.keystore.key",
    "ssl.keystore.certificate.chain",
)
# Only librdkafka knows these.
_LIBRDKAFKA_ONLY = ("ssl.ca.", "ssl.certificate.", "ssl.key.", "sasl.username", "sasl.password")
_LOGIN_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}
# The job sets these itself; another value would break its guarantee, or have no effect.
RESERVED = frozenset(
    {
        "bootstrap.servers",
        "transactional.id",
        "transaction.timeout.ms",
        "group.id",
        "isolation.level",
        "enable.auto.commit",
        "enable.idempotence",
        "acks",
        "request.required.acks",
        "message.timeout.ms",
        "delivery.report.only.error",
        "key.serializer",
        "value.serializer",
        "key.deserializer",
        "value.deserializer",
    }
)


@dataclass(frozen=True)
class Cluster:
    """The address of a Kafka cluster and the options of its clients. Its repr shows no secret.

    Attributes:
        bootstrap_servers: ``host:port[,host:port...]``.
        options: further client options, as with ``--kafka``.
    """

    bootstrap_servers: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def for_librdkafka(self) -> dict[str, str | int | float | bool]:
        """Return the settings of a librdkafka client: an admin client, a consumer or a producer."""
        return {**_to_librdkafka(self.options), "bootstrap.servers": self.bootstrap_servers}

    def for_spark(self) -> dict[str, str]:
        """Return the options of Spark's Kafka source or sink, with their ``kafka.`` prefix.

        Raises:
            SettingsError: the Java client has no form for one of the options.
        """
        java = _to_java(self.options) | {"bootstrap.servers": self.bootstrap_servers}
        return {f"kafka.{key}": value for key, value in java.items()}

    @property
    def servers(self) -> list[str]:
        """The addresses as ``host:port``, without a protocol; the port is 9092 where none is."""
        parts = (part.strip() for part in self.bootstrap_servers.split(","))
        names = (part.rpartition("://")[2] for part in parts if part)
        return [name if _PORT.search(name) else f"{name}:9092" for name in names]

    @property
    def signs_in(self) -> bool:
        """Whether clients have a name, to which brokers grant rights."""
        return "security.protocol" in self.options

    @property
    def principal(self) -> str:
        """The name that Kafka gives the clients, as far as their options tell."""
        options = self.options
        jaas = _JAAS_USER.search(options.get("sasl.jaas.config", ""))
        user = options.get("sasl.username") or (jaas[1] if jaas else None)
        protocol = options.get("security.protocol", "PLAINTEXT")
        if user is None and not protocol.upper().endswith("SSL"):
            user = "ANONYMOUS"
        # With a client certificate the name is its subject, in the form of the brokers' rules.
        return f"User:{user or 'NAME'}"


def check_options(options: Mapping[str, str]) -> None:
    """Refuse options that the job has to set itself.

    Raises:
        SettingsError: one of them is reserved.
    """
    taken = sorted(RESERVED & options.keys())
    if taken:
        raise SettingsError(
            f"--kafka sets {', '.join(taken)}, which the job sets itself",
            hint="leave it out; --bootstrap-servers and --query-name set addresses and names",
        )


def _to_librdkafka(options: Mapping[str, str]) -> dict[str, str]:
    """Return the options in librdkafka's form."""
    return {key: value for key, value in options.items() if not key.startswith(_JAVA_ONLY)}


def _to_java(options: Mapping[str, str]) -> dict[str, str]:
    """Return the options in the form of the Java client.

    Raises:
        SettingsError: the Java client has no form for one of them.
    """
    java = {key: value for key, value in options.items() if not key.startswith(_LIBRDKAFKA_ONLY)}
    username, password = options.get("sasl.username"), options.get("sasl.password")
    if username is not None and password is not None and "sasl.jaas.config" not in java:
        mechanism = options.get("sasl.mechanism", options.get("sasl.mechanisms", "PLAIN"))
        module = _LOGIN_MODULES.get(mechanism)
        if module is None:
            raise SettingsError(
                f"--kafka sasl.username with sasl.mechanism={mechanism}",
                hint=f"give sasl.jaas.config as well, or use one of {', '.join(_LOGIN_MODULES)}",
            )
        java["sasl.jaas.config"] = (
            f'{module} required username="{_quote(username)}" password="{_quote(password)}";'
        )
    if "ssl.ca.location" in options and "ssl.truststore.location" not in java:
        java["ssl.truststore.location"] = options["ssl.ca.location"]
        java["ssl.truststore.type"] = "PEM"
    return java | _client_certificate(options)


def _client_certificate(options: Mapping[str, str]) -> dict[str, str]:
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
    if java and "ssl.key.password" in options:
        java["ssl.key.password"] = options["ssl.key.password"]
    return java


def _quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
