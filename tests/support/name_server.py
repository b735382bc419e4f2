"""A name server that knows no name and remembers which ones it was asked for.

Processes that are started through it ask no other one. It needs Linux, util-linux, and the rights
to mount and to listen on port 53.
"""

from __future__ import annotations

import os
import shutil
import socket
import socketserver
import threading
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# An address of this machine that no other resolver has, nor another process of the tests.
_ADDRESS = (f"127.77.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}", 53)
_FIRST_LABEL = 12  # bytes before the name in a question (RFC 1035, 4.1.1)


class NoNameServerError(Exception):
    """An error for a machine on which no name server can be started; the text says why."""


@dataclass(frozen=True)
class NameServer:
    """A running name server.

    Attributes:
        names: the names that were asked for, in lower case.
        launcher: a command that runs the one after it, with the same pid, so that it and all that
            it starts ask this server.
    """

    names: set[str]
    launcher: tuple[str, ...]
    missing: str = ""


@contextmanager
def run_name_server(folder: Path) -> Iterator[NameServer]:
    """Run a name server.

    Args:
        folder: the folder for its file.

    Raises:
        NoNameServerError: a tool or a right is missing.
    """
    if shutil.which("unshare") is None:
        raise NoNameServerError("no name server: unshare is not installed")
    names: set[str] = set()

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            question, connection = self.request
            names.add(_read_name(question))
            # Copy the question, and say that this is an answer (0x84): NXDOMAIN (3).
            connection.sendto(question[:2] + b"\x84\x03" + question[4:], self.client_address)

    resolv_conf = folder / "resolv.conf"
    resolv_conf.write_text(f"nameserver {_ADDRESS[0]}\noptions timeout:1 attempts:1\n")
    mount = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    launcher = ("unshare", "--mount", "--", "sh", "-c", mount, str(resolv_conf))
    try:
        server = socketserver.UDPServer(_ADDRESS, Answer)
    except OSError as error:
        raise NoNameServerError(f"no name server on {_ADDRESS[0]}: {error}") from error
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield NameServer(names, launcher)
        finally:
            server.shutdown()


def list_foreign(names: Set[str]) -> set[str]:
    """Return the names that are not this machine's own, which Java and Python look up."""
    own = socket.gethostname().lower()
    return {name for name in names if name.split(".")[0] != own.split(".")[0]}


def _read_name(question: bytes) -> str:
    labels = []
    at = _FIRST_LABEL
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode("ascii", "replace"))
        at += 1 + length
    return ".".join(labels).lower()
