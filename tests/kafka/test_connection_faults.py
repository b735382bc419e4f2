"""Each reason why brokers are not reached has a sentence of its own, from the client's words."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from lib.errors import KafkaSetupError
from lib.kafka.cluster import Cluster
from lib.kafka.connection.connect import connect
from lib.kafka.connection.faults import Cause, Fault, read_fault


@pytest.mark.parametrize(
    ("line", "server", "cause", "detail"),
    [
        (
            "[thrd:kafka:9092/bootstrap]: kafka:9092/bootstrap: Failed to resolve 'kafka:9092':"
            " Name or service not known (after 0ms in state CONNECT)",
            "kafka:9092",
            Cause.NAME,
            "Name or service not known",
        ),
        (
            "[thrd:[::1]:9092/bootstrap]: [::1]:9092/bootstrap: Connect to ipv6#[::1]:9092 failed:"
            " Connection refused (after 0ms in state CONNECT, 3 identical error(s) suppressed)",
            "[::1]:9092",
            Cause.PORT,
            "Connection refused",
        ),
        (
            "[thrd:10.0.0.1:9092/1]: 10.0.0.1:9092/1: Connect to ipv4#10.0.0.1:9092 failed: No"
            " route to host (after 3066ms in state CONNECT)",
            "10.0.0.1:9092",
            Cause.CONNECTION,
            "No route to host",
        ),
        (
            "[thrd:b:9092/bootstrap]: b:9092/bootstrap: Connection setup timed out in state CONNECT"
            " (after 30000ms in state CONNECT)",
            "b:9092",
            Cause.CONNECTION,
            "Connection setup timed out in state CONNECT",
        ),
        (
            "[thrd:ssl://b:9092/bootstrap]: ssl://b:9092/bootstrap: SSL handshake failed:"
            " error:0A00010B:SSL routines::wrong version number (after 0ms in state SSL_HANDSHAKE)",
            "b:9092",
            Cause.NO_TLS,
            "SSL handshake failed: error:0A00010B:SSL routines::wrong version number",
        ),
        (
            "[thrd:sasl_ssl://b:9092/bootstrap]: sasl_ssl://b:9092/bootstrap: SASL PLAIN mechanism"
            " handshake failed: Broker: Unsupported SASL mechanism: broker's supported mechanisms:"
            " SCRAM-SHA-512,OAUTHBEARER (after 301ms in state AUTH_HANDSHAKE)",
            "b:9092",
            Cause.MECHANISM,
            "SCRAM-SHA-512,OAUTHBEARER",
        ),
    ],
)
def test_a_line_of_the_client_is_read(line: str, server: str, cause: Cause, detail: str) -> None:
    assert read_fault(line) == Fault(server, cause, detail)


def test_a_fault_knows_host_and_port() -> None:
    fault = Fault("[::1]:9092", Cause.PORT, "")
    assert (fault.host, fault.port) == ("::1", 9092)


def test_a_line_that_names_no_broker_is_none() -> None:
    assert read_fault("[thrd:app]: GroupCoordinator: terminating") is None


def test_a_server_of_tokens_that_is_not_there_is_named() -> None:
    message = refuse(
        "127.0.0.1:1",
        security_protocol="SASL_SSL",
        sasl_mechanism="OAUTHBEARER",
        sasl_oauthbearer_method="oidc",
        sasl_oauthbearer_client_id="job",
        sasl_oauthbearer_client_secret="hunter2",
        sasl_oauthbearer_token_endpoint_url="http://127.0.0.1:1/token",
    )

    assert message == (
        "no connection to Kafka: http://127.0.0.1:1/token gives no token for OAuth (Failed to"
        " connect to 127.0.0.1:1 after 0 ms: Could not connect to server) (correct"
        " sasl.oauthbearer.token.endpoint.url, sasl.oauthbearer.client.id or"
        " sasl.oauthbearer.client.secret, or name the authority of that server's certificate (PEM)"
        " with --kafka https.ca.location=FILE)"
    )


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """Run a server that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


def refuse(bootstrap_servers: str, **options: str) -> str:
    started = time.monotonic()
    named = {name.replace("_", "."): value for name, value in options.items()}
    with pytest.raises(KafkaSetupError) as error:
        connect(Cluster(bootstrap_servers, named))
    assert time.monotonic() - started < 10.0
    return str(error.value)


@pytest.mark.usefixtures("impatient")
def test_a_name_that_does_not_resolve_and_a_closed_port_are_told_apart() -> None:
    message = refuse("no-such-host.invalid:9092, 127.0.0.1:1")

    assert message == (
        "no connection to Kafka: the name no-such-host.invalid does not resolve (Name or service"
        " not known); nothing listens at 127.0.0.1:1 (Connection refused) (correct the name in"
        " --bootstrap-servers, or this machine's name service; or start the broker, or correct"
        " address and port in --bootstrap-servers)"
    ) or message == (
        "no connection to Kafka: nothing listens at 127.0.0.1:1 (Connection refused); the name"
        " no-such-host.invalid does not resolve (Name or service not known) (start the broker, or"
        " correct address and port in --bootstrap-servers; or correct the name in"
        " --bootstrap-servers, or this machine's name service)"
    )


def test_what_does_not_answer_is_told_from_what_is_not_reached(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.kafka.connection.connect._SILENCE_S", 1.0)
    silent = f"127.0.0.1:{server.getsockname()[1]}"

    assert refuse(silent) == (
        f"no connection to Kafka: {silent} takes the connection and does not answer (look whether a"
        " broker listens there, and whether it hangs)"
    )


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "is no Kafka broker (Receive failed: Invalid response size 1213486160 (0..100000000)"),
        ({"security_protocol": "SSL"}, "does not speak TLS: found security.protocol=SSL (name the"),
    ],
)
def test_a_web_server_is_no_broker(
    server: socket.socket, options: dict[str, str], expected: str
) -> None:
    def answer() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:  # the test has closed the listener
                return
            with connection:
                connection.recv(1000)
                connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    threading.Thread(target=answer, daemon=True).start()
    web = f"127.0.0.1:{server.getsockname()[1]}"

    assert refuse(web, **options).startswith(f"no connection to Kafka: {web} {expected}")
