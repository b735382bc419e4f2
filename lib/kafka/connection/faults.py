"""Reads from a client's log why it reaches no broker. Pure.

librdkafka writes a line FAIL for each connection that ends, with the state that it was in. Its
error callback leaves out some of them, such as those that a broker closes without a word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from lib.kafka.options.sign_in import OAUTH

_LINE = re.compile(
    r"(?:\[thrd:.*?\]: )?(?:\w+://)?(?P<server>[^/\s]+)/(?:bootstrap|\d+): "
    r"(?P<reason>.*?) \(after \d+ms in state (?P<state>\w+)"
)
_NAME = re.compile(r"Failed to resolve '.*?': (?P<detail>.*)")
_CONNECT = re.compile(r"Connect to \S+ failed: (?P<detail>.*)")
_TOKEN = re.compile(
    r"(?:\[thrd:.*?\]: )?Failed to retrieve OIDC token from \"(?P<url>.*?)\": (?P<reason>.*)"
)
_MECHANISMS = re.compile(r"supported mechanisms: *(?P<found>.*)")
# The alerts of TLS about a certificate, with which a broker refuses the client's.
_ALERT = re.compile(r"SSL alert number (4[2-68]|116)\b")


class Cause(Enum):
    """The reasons why a client cannot work with a broker."""

    NAME = auto()
    PORT = auto()
    CONNECTION = auto()
    NO_TLS = auto()
    CERTIFICATE = auto()
    CLIENT_CERTIFICATE = auto()
    NO_SASL = auto()
    MECHANISM = auto()
    PASSWORD = auto()
    TOKEN = auto()
    CLOSED_AT_FIRST = auto()
    CLOSED_LATER = auto()
    SILENCE = auto()
    OTHER = auto()


# A client meets these again however often it tries; others may pass, as a broker that starts shows.
_CERTAIN = frozenset(
    {
        Cause.CERTIFICATE,
        Cause.CLIENT_CERTIFICATE,
        Cause.NO_SASL,
        Cause.MECHANISM,
        Cause.PASSWORD,
        Cause.TOKEN,
    }
)


@dataclass(frozen=True)
class Fault:
    """The reason why a client cannot work with one broker.

    Attributes:
        server: the broker, ``host:port``.
        cause: the class of the reason.
        detail: the reason in the words of system, client or broker.
    """

    server: str
    cause: Cause
    detail: str

    @property
    def is_certain(self) -> bool:
        """Whether waiting does not help."""
        return self.cause in _CERTAIN

    @property
    def is_unreached(self) -> bool:
        """Whether there was no connection at all."""
        return self.cause in (Cause.NAME, Cause.PORT, Cause.CONNECTION)

    @property
    def host(self) -> str:
        """The broker's name or address, without brackets."""
        return self.server.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The broker's port; 0 if there is no number."""
        port = self.server.rpartition(":")[2]
        return int(port) if port.isdecimal() else 0


def read_fault(line: str) -> Fault | None:
    """Read a line FAIL of a client's log; None if it names no broker."""
    found = _LINE.match(line)
    if found is None:
        return None
    server, reason, state = found.group("server", "reason", "state")
    cause, detail = _judge(reason, state)
    return Fault(server, cause, detail)


def read_token_fault(line: str) -> Fault | None:
    """Read a line OIDC of a client's log; None if it does not tell why there is no token."""
    found = _TOKEN.match(line)
    if found is None:
        return None
    # The client puts a number of its own behind the reason.
    return Fault(found["url"], Cause.TOKEN, re.sub(r" \(-?\d+\)$", "", found["reason"]))


def _judge(reason: str, state: str) -> tuple[Cause, str]:
    if name := _NAME.match(reason):
        return Cause.NAME, name["detail"]
    if connect := _CONNECT.match(reason):
        detail = connect["detail"]
        return Cause.PORT if detail == "Connection refused" else Cause.CONNECTION, detail
    if state in ("TRY_CONNECT", "CONNECT"):
        return Cause.CONNECTION, reason
    if "certificate verify failed" in reason:
        return Cause.CERTIFICATE, "certificate verify failed"
    if _ALERT.search(reason):
        return Cause.CLIENT_CERTIFICATE, reason
    if state == "SSL_HANDSHAKE":
        is_plain = "PLAINTEXT broker listener" in reason or "wrong version number" in reason
        return Cause.NO_TLS if is_plain else Cause.OTHER, reason
    if state.startswith("AUTH_"):
        return _judge_sign_in(reason)
    if state == "APIVERSION_QUERY":
        return Cause.CLOSED_AT_FIRST, reason
    return Cause.CLOSED_LATER if reason.startswith("Disconnected") else Cause.OTHER, reason


def _judge_sign_in(reason: str) -> tuple[Cause, str]:
    if "not valid in current SASL state" in reason:
        return Cause.NO_SASL, reason
    if "Unsupported SASL mechanism" in reason and (found := _MECHANISMS.search(reason)):
        return Cause.MECHANISM, found["found"]
    return Cause.PASSWORD, reason


@dataclass(frozen=True)
class Client:
    """The settings of a client that messages name.

    Attributes:
        protocol: its ``security.protocol``.
        mechanism: its SASL mechanism.
        principal: its user, in Kafka's form.
    """

    protocol: str
    mechanism: str
    principal: str

    @classmethod
    def of(cls, options: Mapping[str, str], principal: str) -> Client:
        """Read the options of a cluster."""
        return cls(
            options.get("security.protocol", "PLAINTEXT").upper(),
            options.get("sasl.mechanism", options.get("sasl.mechanisms", "GSSAPI")),
            principal,
        )

    @property
    def has_tls(self) -> bool:
        """Whether the client encrypts."""
        return self.protocol.endswith("SSL")

    @property
    def signs_in(self) -> bool:
        """Whether the client signs in by SASL."""
        return self.protocol.startswith("SASL_")

    def name_protocol(self, *, tls: bool, sasl: bool) -> str:
        """Return the protocol with or without TLS and SASL."""
        return ("SASL_" if sasl else "") + ("SSL" if tls else "PLAINTEXT")


def describe_fault(fault: Fault, client: Client) -> tuple[str, str]:
    """Return (what is wrong, the way out), each as one phrase.

    A listener that closes the connection without a word is told by ``describe_listener``.
    """
    server, detail = fault.server, fault.detail
    found = f"found security.protocol={client.protocol}"
    match fault.cause:
        case Cause.NAME:
            return (
                f"the name {fault.host} does not resolve ({detail})",
                "correct the name in --bootstrap-servers, or this machine's name service",
            )
        case Cause.PORT:
            return (
                f"nothing listens at {server} ({detail})",
                "start the broker, or correct address and port in --bootstrap-servers",
            )
        case Cause.CONNECTION:
            return (
                f"{server} is not reached ({detail})",
                "correct --bootstrap-servers, or look at network and firewall",
            )
        case Cause.SILENCE:
            return (
                f"{server} takes the connection and does not answer",
                "look whether a broker listens there, and whether it hangs",
            )
        case Cause.NO_TLS:
            expected = client.name_protocol(tls=False, sasl=client.signs_in)
            return (
                f"{server} does not speak TLS: {found}",
                "name the port of a listener with TLS, or say --kafka"
                f" security.protocol={expected}",
            )
        case Cause.CERTIFICATE:
            return _describe_certificate(fault)
        case Cause.CLIENT_CERTIFICATE:
            return (
                f"{server} asks for a client certificate that it trusts ({detail})",
                "name key and certificate in one PEM file (PKCS8), by --kafka"
                " ssl.certificate.location=FILE and ssl.key.location=FILE",
            )
        case Cause.NO_SASL:
            expected = client.name_protocol(tls=client.has_tls, sasl=False)
            return (
                f"{server} takes no password, because its listener has no SASL: {found}",
                "name the port of a listener with SASL, or leave out the sasl.… options and say"
                f" --kafka security.protocol={expected}",
            )
        case Cause.MECHANISM:
            return (
                f"{server} does not take the SASL mechanism {client.mechanism}, but {detail}",
                f"say --kafka sasl.mechanism={detail.partition(',')[0]}, or let an administrator"
                " enable the other",
            )
        case Cause.PASSWORD if client.mechanism == OAUTH:
            return (
                f"{server} refuses the token of OAuth ({detail})",
                "compare issuer, audience and expiry of the token with the brokers' settings, and"
                " this machine's clock",
            )
        case Cause.TOKEN:
            return (
                f"{server} gives no token for OAuth ({detail})",
                "correct sasl.oauthbearer.token.endpoint.url, sasl.oauthbearer.client.id or"
                " sasl.oauthbearer.client.secret, or name the authority of that server's"
                " certificate (PEM) with --kafka https.ca.location=FILE",
            )
        case Cause.PASSWORD:
            return (
                f"{server} refuses the password of {client.principal} ({detail})",
                "correct sasl.username, sasl.password or sasl.mechanism",
            )
    return (
        f"{server} ends the connection ({detail})",
        "check --bootstrap-servers, security.protocol among the --kafka options, and the"
        " brokers' log",
    )


def _describe_certificate(fault: Fault) -> tuple[str, str]:
    text = f"the certificate of {fault.server} is not accepted: {fault.detail}"
    if "expired" in fault.detail or "not yet valid" in fault.detail:
        return text, "renew the brokers' certificate, or correct this machine's clock"
    if "mismatch" in fault.detail:
        return text, "name the broker in --bootstrap-servers as its certificate does"
    return (
        text,
        "name the certificate (PEM) of the authority that signed the brokers', with --kafka"
        " ssl.ca.location=FILE",
    )


def describe_listener(fault: Fault, client: Client, *, speaks_tls: bool) -> tuple[str, str]:
    """Return (what is wrong, the way out) where a broker has closed the connection without a word.

    Args:
        fault: the fault, whose cause is CLOSED_AT_FIRST or CLOSED_LATER.
        client: the client.
        speaks_tls: whether the listener answers a TLS handshake.
    """
    server = fault.server
    found = f"found security.protocol={client.protocol}"
    if speaks_tls and not client.has_tls:
        expected = client.name_protocol(tls=True, sasl=client.signs_in)
        return (
            f"{server} speaks TLS: {found}",
            f"say --kafka security.protocol={expected}, or name the port of a listener without TLS",
        )
    if fault.cause is Cause.CLOSED_AT_FIRST:
        return (
            f"{server} is no Kafka broker ({fault.detail})",
            "correct address and port in --bootstrap-servers",
        )
    if not client.signs_in:
        expected = client.name_protocol(tls=client.has_tls, sasl=True)
        return (
            f"{server} closes the connection, as a listener does that wants SASL: {found}",
            f"say --kafka security.protocol={expected} with sasl.mechanism, sasl.username and"
            " sasl.password, or name the port of a listener without SASL",
        )
    return describe_fault(fault, client)
