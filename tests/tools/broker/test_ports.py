"""Free ports are those that nobody uses."""

from __future__ import annotations

import socket

from lib.tools.broker.ports import is_free, pick_free_ports


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def test_picked_ports_are_different_free_and_below_those_of_clients() -> None:
    ports = pick_free_ports(50)
    assert len(set(ports)) == 50
    assert all(15_000 <= port < 32_768 for port in ports)
