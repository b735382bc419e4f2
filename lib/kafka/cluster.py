"""The address of a Kafka cluster and the options of its clients. Pure.

Spark's connector is a Java client, the exactly-once sink uses librdkafka; see ``lib.kafka.options``
for what each of them gets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lib.errors import SettingsError
from lib.kafka.options.families import refuse_unknown
from lib.kafka.options.forms import to_java, to_librdkafka
from lib.kafka.options.sign_in import check_mechanism

_PORT = re.compile(r":\d+$")
_JAAS_USER = re.compile(r'username="((?:[^"\\]|\\.)*)"')
# The job sets these itself; another value would break its guarantee, or have no effect.
RESERVED = frozenset(
    {
        "bootstrap.servers",
        "metadata.broker.list",
        "bootstrap.controllers",
        "auto.offset.reset",
        "transactional.id",
        "transaction.timeout.ms",
        "group.id",
        "isolation.level",
        "enable.auto.commit",
        "auto.commit.enable",
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

    Raises:
        SettingsError: no client knows one of the options, or the job has to set it itself.
    """

    bootstrap_servers: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Check the names of the options."""
        check_options(self.options)

    def for_librdkafka(self) -> dict[str, str | int | float | bool]:
        """Return the settings of a librdkafka client: an admin client, a consumer or a producer."""
        return {**to_librdkafka(self.options), "bootstrap.servers": self.bootstrap_servers}

    def for_spark(self) -> dict[str, str]:
        """Return the options of Spark's Kafka source or sink, with their ``kafka.`` prefix.

        Raises:
            SettingsError: the Java client has no form for one of the options, or would refuse it.
        """
        java = to_java(self.options) | {"bootstrap.servers": self.bootstrap_servers}
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
    """Refuse options that the job has to set itself, and those that no client knows.

    Raises:
        SettingsError: one of them is reserved or unknown, or no client could sign in with them.
    """
    taken = sorted(RESERVED & options.keys())
    if taken:
        raise SettingsError(
            f"--kafka sets {', '.join(taken)}, which the job sets itself",
            hint="leave it out; --bootstrap-servers and --query-name set addresses and names",
        )
    if "interceptor.classes" in options:
        raise SettingsError(
            "--kafka interceptor.classes: Spark's Kafka source takes none", hint="leave it out"
        )
    refuse_unknown(options)
    check_mechanism(options)
