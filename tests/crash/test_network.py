"""Single directions of the laboratory's networks can be cut. These tests take root, but no JVM."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.crash.network import Member, Network, NoNetworksError
from tests.support.waiting import wait_until

# This client sends one line to a server and prints what comes back.
_CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], 9000), timeout=0.5) as connection:
    connection.sendall(b"hello\\n")
    print(connection.recv(10).decode().strip())
"""
_SERVER = """
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.readline())
socketserver.TCPServer.allow_reuse_address = True
with socketserver.ThreadingTCPServer(("0.0.0.0", 9000), Echo) as server:
    print("ready", flush=True)
    server.serve_forever()
"""


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    """Provide two members, each with a server that echoes a line."""
    try:
        with Network(2) as running:
            servers = [serve(member) for member in running.members]
            yield running
            for server in servers:
                server.kill()
                server.communicate()
    except NoNetworksError as error:
        pytest.skip(f"the laboratory's leg does not run here either: {error}")


def serve(member: Member) -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [*member.launcher, sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    return server


def reaches(source: Member, target: Member) -> bool:
    command = [*source.launcher, sys.executable, "-c", _CLIENT, target.host]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout == "hello\n"


def test_members_reach_each_other_and_this_process_reaches_them(network: Network) -> None:
    one, other = network.members

    assert reaches(one, other)
    assert reaches(other, one)
    command = [sys.executable, "-c", _CLIENT, one.host]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "hello\n"


@pytest.mark.parametrize(("stop", "heal"), [("silence", "unsilence"), ("blackhole", "unblackhole")])
def test_what_is_sent_one_way_does_not_arrive_until_it_is_healed(
    network: Network, stop: str, heal: str
) -> None:
    one, other = network.members
    getattr(one, stop)(other)

    # A connection needs both directions: the answers do not reach the other member either.
    assert not reaches(one, other)
    assert not reaches(other, one)

    getattr(one, heal)(other)
    wait_until(lambda: reaches(one, other) and reaches(other, one), 20)


def test_only_the_way_that_was_cut_loses_packets(network: Network) -> None:
    one, other = network.members
    before = count_received(one)
    one.silence(other)

    assert not reaches(other, one)

    assert count_received(one) > before  # the request to connect did arrive
    one.unsilence(other)


def test_a_link_that_is_down_cuts_from_all(network: Network) -> None:
    one, other = network.members
    one.set_link("down")

    assert not reaches(other, one)

    one.set_link("up")
    wait_until(lambda: reaches(other, one), 20)


def test_a_process_that_is_killed_leaves_no_network_behind(network: Network) -> None:
    program = (
        "import time; from tests.crash.network import Network; it = Network(1); it.__enter__();"
        "print(it.members[0].launcher[1], flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        holder = owner.stdout.readline().split("/")[2]
        descriptor = os.pidfd_open(int(holder))
        owner.kill()

    # The input of the process that holds the namespace has ended, so the process ends, and its
    # links with it.
    end = select.poll()
    end.register(descriptor, select.POLLIN)
    assert end.poll(10_000)
    os.close(descriptor)


def count_received(member: Member) -> int:
    command = [*member.launcher, "cat", "/proc/net/dev"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    (line,) = (line for line in lines if line.strip().startswith("eth0:"))
    return int(line.split()[2])
