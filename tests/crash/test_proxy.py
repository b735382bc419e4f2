"""The proxy works before a server that echoes each byte, and before a real broker."""

from __future__ import annotations

import asyncio
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from lib.kafka.topics import create_topics
from lib.tools.broker import EmbeddedBroker
from tests.crash.proxy import Action, Interference, Proxy, read_api_key, read_frame
from tests.crash.schedule import REQUESTS
from tests.support.waiting import wait_until

END_TXN = 26


def frame(api_key: int, body: bytes = b"") -> bytes:
    payload = api_key.to_bytes(2, "big") + body
    return len(payload).to_bytes(4, "big") + payload


def test_a_request_is_read_whole_and_its_kind_is_found() -> None:
    async def read(chunks: list[bytes]) -> list[bytes]:
        reader = asyncio.StreamReader()
        for chunk in chunks:
            reader.feed_data(chunk)
        reader.feed_eof()
        frames = []
        while not reader.at_eof():
            frames.append(await read_frame(reader))
        return frames

    both = frame(0, b"x" * 10) + frame(END_TXN, b"yz")

    found = asyncio.run(read([both[:3], both[3:9], both[9:]]))

    assert [read_api_key(it) for it in found] == [0, END_TXN]
    assert b"".join(found) == both


def test_half_a_request_is_none() -> None:
    async def read() -> bytes:
        reader = asyncio.StreamReader()
        reader.feed_data(frame(0, b"abc")[:-1])
        reader.feed_eof()
        return await read_frame(reader)

    with pytest.raises(asyncio.IncompleteReadError):
        asyncio.run(read())


class EchoServer(socketserver.ThreadingTCPServer):
    """A server that answers with the bytes that it got, and keeps them."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        self.received = b""
        super().__init__(("127.0.0.1", 0), EchoHandler)


class EchoHandler(socketserver.BaseRequestHandler):
    server: EchoServer

    def handle(self) -> None:
        with suppress(OSError):  # a strike of the test has cut the connection
            while data := self.request.recv(65536):
                self.server.received += data
                self.request.sendall(data)


@pytest.fixture
def echo() -> Iterator[EchoServer]:
    with EchoServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def proxy(echo: EchoServer) -> Iterator[Proxy]:
    with Proxy() as running:
        running.connect_to(echo.server_address[1])
        yield running


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as connection:
        yield connection


def receive(client: socket.socket, count: int) -> bytes:
    """Receive this many bytes, or fewer if the connection ends before."""
    received = b""
    while len(received) < count:
        try:
            chunk = client.recv(count - len(received))
        except ConnectionResetError:
            break
        if not chunk:
            break
        received += chunk
    return received


def test_everything_passes_unchanged(proxy: Proxy, client: socket.socket) -> None:
    sent = frame(0, b"a" * 1_000_000) + frame(END_TXN)
    threading.Thread(target=client.sendall, args=(sent,)).start()

    assert receive(client, len(sent)) == sent
    assert proxy.requests == {0: 1, END_TXN: 1}


def test_each_broker_has_a_port_and_the_next_request_to_any_of_them_is_met() -> None:
    with EchoServer() as one, EchoServer() as other, Proxy(2) as proxy:
        for server in (one, other):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        proxy.connect_to(one.server_address[1], other.server_address[1])
        proxy.interfere(Interference(END_TXN, Action.LOSE_REQUEST))
        for port, server in zip(proxy.ports, (one, other), strict=True):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                client.sendall(frame(0))
                assert receive(client, 6) == frame(0)
                assert server.received == frame(0)
                if server is other:
                    client.sendall(frame(END_TXN))
                    assert receive(client, 6) == b""
        assert len(proxy.interfered) == 1
        one.shutdown()
        other.shutdown()


def test_only_the_next_request_of_its_kind_is_delayed(proxy: Proxy, client: socket.socket) -> None:
    proxy.interfere(Interference(END_TXN, Action.DELAY, 2.0))
    started_s = time.monotonic()

    client.sendall(frame(0))
    assert receive(client, 6) == frame(0)
    quick_s = time.monotonic() - started_s
    client.sendall(frame(END_TXN))
    assert receive(client, 6) == frame(END_TXN)
    slow_s = time.monotonic() - started_s

    assert quick_s < 2.0 <= slow_s
    assert proxy.interfered == [client.getsockname()[1]]


def test_a_lost_request_never_arrives(
    proxy: Proxy, client: socket.socket, echo: EchoServer
) -> None:
    proxy.interfere(Interference(END_TXN, Action.LOSE_REQUEST))

    client.sendall(frame(0))
    assert receive(client, 6) == frame(0)
    client.sendall(frame(END_TXN))

    assert receive(client, 6) == b""
    assert echo.received == frame(0)


def test_a_lost_response_is_of_a_request_that_arrived(
    proxy: Proxy, client: socket.socket, echo: EchoServer
) -> None:
    proxy.interfere(Interference(END_TXN, Action.LOSE_RESPONSE))

    client.sendall(frame(END_TXN))

    assert receive(client, 6) == b""
    assert echo.received == frame(END_TXN)


def test_a_held_request_arrives_after_its_client_has_gone(
    proxy: Proxy, client: socket.socket, echo: EchoServer
) -> None:
    proxy.interfere(Interference(END_TXN, Action.HOLD, 2.0))

    client.sendall(frame(END_TXN))
    client.close()
    time.sleep(0.1)

    assert echo.received == b""
    wait_until(lambda: len(echo.received) >= 6)


def test_a_stray_request_arrives_after_its_client_was_cut_off(
    proxy: Proxy, client: socket.socket, echo: EchoServer
) -> None:
    proxy.interfere(Interference(END_TXN, Action.STRAY, 60))

    client.sendall(frame(0))
    assert receive(client, 6) == frame(0)
    client.sendall(frame(END_TXN))

    assert receive(client, 6) == b""
    assert echo.received == frame(0)
    proxy.deliver()
    wait_until(lambda: len(echo.received) >= 12)
    assert echo.received == frame(0) + frame(END_TXN)
    wait_until(lambda: proxy.delivered == [END_TXN])


def test_refused_connections_end_and_new_ones_do_too_until_it_is_calm(
    proxy: Proxy, client: socket.socket, echo: EchoServer
) -> None:
    client.sendall(frame(0))
    assert receive(client, 6) == frame(0)

    proxy.refuse()

    assert receive(client, 1) == b""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as refused:
        assert receive(refused, 1) == b""
    proxy.calm()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as taken:
        taken.sendall(frame(0))
        assert receive(taken, 6) == frame(0)


def test_what_is_held_passes_when_it_is_calm(
    proxy: Proxy, client: socket.socket, echo: EchoServer
) -> None:
    proxy.hold()
    time.sleep(0.05)
    client.sendall(frame(0))
    time.sleep(0.2)
    assert echo.received == b""

    proxy.calm()

    assert receive(client, 6) == frame(0)


def test_a_transaction_whose_commit_is_lost_on_the_way_is_committed_all_the_same(
    proxied_broker: tuple[EmbeddedBroker, Proxy],
) -> None:
    broker, proxy = proxied_broker
    create_topics(broker.cluster, {"letters": 1})
    producer = Producer(
        {"bootstrap.servers": f"127.0.0.1:{proxy.port}", "transactional.id": "t", "log_level": 0}
    )
    producer.init_transactions(30)
    before, interfered = proxy.requests[REQUESTS["EndTxn"]], len(proxy.interfered)

    for number, action in enumerate((Action.LOSE_REQUEST, Action.LOSE_RESPONSE, Action.DELAY)):
        proxy.interfere(Interference(REQUESTS["EndTxn"], action, 0.2))
        producer.begin_transaction()
        producer.produce("letters", value=b"%d" % number)
        try:
            producer.commit_transaction(30)
        except KafkaException as failure:
            if not failure.args[0].retriable():
                raise
            producer.commit_transaction(30)

    assert len(proxy.interfered) == interfered + 3
    assert proxy.requests[REQUESTS["EndTxn"]] >= before + 5  # two requests had to be sent again
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "readers",
            "auto.offset.reset": "earliest",
            "log_level": 0,
        }
    )
    consumer.assign([TopicPartition("letters", 0, 0)])
    found: list[bytes | None] = []
    deadline = time.monotonic() + 30
    while len(found) < 3 and time.monotonic() < deadline:
        found += [message.value() for message in consumer.consume(3, 0.2)]
    consumer.close()
    assert found == [b"0", b"1", b"2"]
