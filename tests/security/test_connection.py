"""A client that is not let in gets a sentence with the reason, before Spark starts."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
import trustme

from lib.errors import KafkaSetupError
from lib.kafka.cluster import Cluster
from lib.kafka.connection.connect import connect
from tests.security.cluster import SecureBroker
from tests.security.token_server import OF_ANOTHER_AUDIENCE

pytestmark = [pytest.mark.broker, pytest.mark.usefixtures("impatient")]

PASSWORD = {
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "churn-job",
    "sasl.password": 'Zq7"x\\V=correct-horse',
}
TLS_AND_PASSWORD = {"security.protocol": "SASL_SSL", **PASSWORD}
SIGN_IN = (
    "with sasl.mechanism, sasl.username and sasl.password, or name the port of a listener without"
    " SASL)"
)

# (listener, options without the authority's certificate, message after the address)
WRONG_LISTENERS: dict[str, tuple[str, dict[str, str], str]] = {
    "TLS against plaintext": (
        "PLAIN",
        {"security.protocol": "SSL"},
        "does not speak TLS: found security.protocol=SSL (name the port of a listener with TLS, or"
        " say --kafka security.protocol=PLAINTEXT)",
    ),
    "TLS and a password against plaintext": (
        "PASSWORD",
        TLS_AND_PASSWORD,
        "does not speak TLS: found security.protocol=SASL_SSL (name the port of a listener with"
        " TLS, or say --kafka security.protocol=SASL_PLAINTEXT)",
    ),
    "plaintext against TLS": (
        "TLS",
        {},
        "speaks TLS: found security.protocol=PLAINTEXT (say --kafka security.protocol=SSL, or name"
        " the port of a listener without TLS)",
    ),
    "a password without TLS against TLS": (
        "SECURE",
        {"security.protocol": "SASL_PLAINTEXT", **PASSWORD},
        "speaks TLS: found security.protocol=SASL_PLAINTEXT (say --kafka"
        " security.protocol=SASL_SSL, or name the port of a listener without TLS)",
    ),
    "a password against none": (
        "PLAIN",
        {"security.protocol": "SASL_PLAINTEXT", **PASSWORD},
        "takes no password, because its listener has no SASL: found"
        " security.protocol=SASL_PLAINTEXT (name the port of a listener with SASL, or leave out the"
        " sasl.… options and say --kafka security.protocol=PLAINTEXT)",
    ),
    "a password against TLS alone": (
        "TLS",
        TLS_AND_PASSWORD,
        "takes no password, because its listener has no SASL: found security.protocol=SASL_SSL"
        " (name the port of a listener with SASL, or leave out the sasl.… options and say --kafka"
        " security.protocol=SSL)",
    ),
    "no password against one": (
        "PASSWORD",
        {},
        "closes the connection, as a listener does that wants SASL: found"
        f" security.protocol=PLAINTEXT (say --kafka security.protocol=SASL_PLAINTEXT {SIGN_IN}",
    ),
    "TLS alone against a password": (
        "SECURE",
        {"security.protocol": "SSL"},
        "closes the connection, as a listener does that wants SASL: found security.protocol=SSL"
        f" (say --kafka security.protocol=SASL_SSL {SIGN_IN}",
    ),
    "a wrong password": (
        "PASSWORD",
        {"security.protocol": "SASL_PLAINTEXT", **PASSWORD, "sasl.password": "not-the-password"},
        "refuses the password of User:churn-job (SASL authentication error: Authentication failed"
        " during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512)"
        " (correct sasl.username, sasl.password or sasl.mechanism)",
    ),
    "an unknown user": (
        "SECURE",
        {**TLS_AND_PASSWORD, "sasl.username": "nobody"},
        "refuses the password of User:nobody (SASL authentication error: Authentication failed"
        " during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512)"
        " (correct sasl.username, sasl.password or sasl.mechanism)",
    ),
    "another mechanism": (
        "SECURE",
        {**TLS_AND_PASSWORD, "sasl.mechanism": "PLAIN"},
        "does not take the SASL mechanism PLAIN, but SCRAM-SHA-512 (say --kafka"
        " sasl.mechanism=SCRAM-SHA-512, or let an administrator enable the other)",
    ),
    "a certificate that has expired": (
        "EXPIRED",
        {"security.protocol": "SSL"},
        "is not accepted: certificate has expired (renew the brokers' certificate, or correct this"
        " machine's clock)",
    ),
    "a certificate of another host": (
        "ELSEWHERE",
        {"security.protocol": "SSL"},
        "is not accepted: IP address mismatch, certificate is not valid for '127.0.0.1' (name the"
        " broker in --bootstrap-servers as its certificate does)",
    ),
    "no certificate of one's own": (
        "MUTUAL",
        {"security.protocol": "SSL"},
        "asks for a client certificate that it trusts (Receive failed: error:",
    ),
}
UNTRUSTED = (
    "(name the certificate (PEM) of the authority that signed the brokers', with --kafka"
    " ssl.ca.location=FILE)"
)


def refuse(bootstrap_servers: str, options: dict[str, str]) -> str:
    """Return the sentence, which must come soon and hold no password and no line break."""
    started = time.monotonic()
    with pytest.raises(KafkaSetupError) as error:
        connect(Cluster(bootstrap_servers, options))
    assert time.monotonic() - started < 10.0
    message = str(error.value)
    assert "\n" not in message
    assert options.get("sasl.password", "\n") not in message
    return message


def find_server(broker: SecureBroker, listener: str) -> str:
    """Return the address of a listener."""
    own = {"PLAIN": broker.admin_servers, "SECURE": broker.bootstrap_servers}
    return {**broker.servers, **own}[listener]


@pytest.mark.parametrize("case", WRONG_LISTENERS)
def test_each_wrong_listener_has_a_sentence_of_its_own(
    secure_broker: SecureBroker, case: str
) -> None:
    listener, options, expected = WRONG_LISTENERS[case]
    server = find_server(secure_broker, listener)
    if options.get("security.protocol", "").endswith("SSL"):
        options = {**options, "ssl.ca.location": str(secure_broker.certificate)}

    message = refuse(server, options)

    what = "the certificate of " if "certificate" in case and "one's own" not in case else ""
    assert message.startswith(f"no connection to Kafka: {what}{server} {expected}"), message


@pytest.mark.parametrize(
    "name", ["another authority", "the system's authorities", "a text of another one"]
)
def test_a_certificate_of_an_unknown_authority_is_not_trusted(
    secure_broker: SecureBroker, tmp_path: Path, name: str
) -> None:
    other = trustme.CA().cert_pem
    other.write_to_path(str(tmp_path / "other.pem"))
    options: dict[str, Any] = {
        "another authority": {"ssl.ca.location": str(tmp_path / "other.pem")},
        "the system's authorities": {},
        "a text of another one": {"ssl.ca.pem": other.bytes().decode()},
    }[name]

    message = refuse(secure_broker.servers["TLS"], {"security.protocol": "SSL", **options})

    start = f"the certificate of {secure_broker.servers['TLS']} is not accepted: "
    assert message.startswith(f"no connection to Kafka: {start}"), message
    assert "unable to get local issuer certificate" in message or "self-signed" in message
    assert message.endswith(UNTRUSTED)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"sasl.oauthbearer.client.secret": "not-the-secret"},
            'TOKENS gives no token for OAuth ({"error": "invalid_client"}) (correct'
            " sasl.oauthbearer.token.endpoint.url, sasl.oauthbearer.client.id or",
        ),
        (
            {"https.ca.location": None},
            "TOKENS gives no token for OAuth (",
        ),
        (
            {"sasl.oauthbearer.scope": OF_ANOTHER_AUDIENCE},
            'BROKER refuses the token of OAuth (SASL authentication error: {"status":'
            '"invalid_token"}) (compare issuer, audience and expiry of the token with the brokers\''
            " settings, and this machine's clock)",
        ),
    ],
)
def test_each_fault_of_a_sign_in_by_token_has_a_sentence_of_its_own(
    secure_broker: SecureBroker, changes: dict[str, str | None], expected: str
) -> None:
    server = secure_broker.servers["OAUTH"]
    options = {**secure_broker.oauth_options(), **changes}

    message = refuse(server, {key: value for key, value in options.items() if value is not None})

    start = expected.replace("TOKENS", secure_broker.tokens.url).replace("BROKER", server)
    assert message.startswith(f"no connection to Kafka: {start}"), message
    assert message.count("not-the-secret") == 0


def test_an_advertised_address_that_is_not_reached_is_named(secure_broker: SecureBroker) -> None:
    """A broker in a container may give itself a name that only other containers know."""
    server = secure_broker.servers["NOWHERE"]

    message = refuse(server, {})

    assert re.sub(r":\d+ \(Conn", ":PORT (Conn", message) == (
        f"a broker answers at {server}, but the brokers give themselves addresses that are not"
        " reached from here: 127.0.0.1:PORT (Connection refused) (name the listener that is meant"
        " for this network, or let an administrator correct advertised.listeners)"
    )
