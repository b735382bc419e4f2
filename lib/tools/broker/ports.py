"""TCP ports on the loopback interface that nobody uses."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

from lib.setup.machine import LOOPBACK, check_loopback

# The ports are below the ephemeral ranges of Linux (from 32768) and macOS (from 49152). The system
# could give a port of these ranges to any client while a killed broker is down, and a client that
# connects to a closed port there can end up connected to itself.
_LOWEST, _HIGHEST = 15_000, 32_700

# Two processes that seed the module-level generator equally would pick the same ports from it.
_random = random.SystemRandom()


def pick_free_ports(count: int) -> tuple[int, ...]:
    """Return ``count`` different ports, each of them free a moment ago.

    Another process may still take one before it is used; whoever starts a server must be ready to
    pick again.

    Raises:
        SetupError: this machine has no address to listen on.
    """
    check_loopback()
    ports: list[int] = []
    for port in _candidates():
        if port not in ports and is_free(port):
            ports.append(port)
        if len(ports) == count:
            break
    return tuple(ports)


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # With this option, connections of an earlier server in TIME_WAIT do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _candidates() -> Iterator[int]:
    while True:
        yield _random.randint(_LOWEST, _HIGHEST)
