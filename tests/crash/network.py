"""Make networks for the laboratory: a namespace for each broker and the job, wired to a bridge.

The machine's own network is not changed: this thread, and all processes that it starts, move to a
new network namespace, which contains the bridge. A namespace ends with the last process in it. The
processes that hold the members' namespaces end when this process ends, however it ends, so nothing
is left behind, even after ``kill -9``. This module needs Linux, root, iproute2 and util-linux.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from lib.tools.broker.node import Place

_CLONE_NEWNET = 0x4000_0000
_TOOLS = ("ip", "unshare", "nsenter")
_NETWORK = "10.77.0"
_OWN_HOST = f"{_NETWORK}.254"
# No member has this hardware address, which packets get that must not arrive: the bridge hands them
# to all members, and each member drops them.
_NOBODY = "02:00:00:00:00:01"


class NoNetworksError(Exception):
    """An error for a machine that cannot make network namespaces; the message has the reason."""


class Member:
    """A namespace with an address on the bridge.

    Attributes:
        host: the namespace's address.
        launcher: command that runs the command after it in the namespace, with the same pid.
    """

    def __init__(self, host: str, holder: subprocess.Popen[bytes]) -> None:
        self.host = host
        self.launcher = ("nsenter", f"--net=/proc/{holder.pid}/ns/net", "--")

    @property
    def place(self) -> Place:
        """The place of a broker that runs in this namespace."""
        return Place(self.host, self.launcher)

    def silence(self, target: Member) -> None:
        """Drop all that goes from here to the target, without an error for either side."""
        self._ip(
            "neigh", "replace", target.host, "lladdr", _NOBODY, "dev", "eth0", "nud", "permanent"
        )

    def unsilence(self, target: Member) -> None:
        """Undo :meth:`silence`."""
        self._ip("neigh", "del", target.host, "dev", "eth0")

    def blackhole(self, target: Member) -> None:
        """Let this side refuse to send to the target, so that new connections fail at once."""
        self._ip("route", "add", "blackhole", f"{target.host}/32")

    def unblackhole(self, target: Member) -> None:
        """Undo :meth:`blackhole`."""
        self._ip("route", "del", "blackhole", f"{target.host}/32")

    def set_link(self, state: str) -> None:
        """Set the link to the bridge to the state ``down`` or ``up``."""
        _run("ip", "link", "set", self._port, state)

    def wire(self, number: int, pid: int) -> None:
        """Connect the namespace of a process to the bridge."""
        self._port = f"port{number}"
        peer = ("type", "veth", "peer", "name", "eth0", "netns", str(pid))
        _run("ip", "link", "add", self._port, *peer)
        _run("ip", "link", "set", self._port, "master", "bridge0", "up")
        self._ip("link", "set", "lo", "up")
        self._ip("address", "add", f"{self.host}/24", "dev", "eth0")
        self._ip("link", "set", "eth0", "up")

    def _ip(self, *arguments: str) -> None:
        _run(*self.launcher, "ip", *arguments)


class Network:
    """Namespaces that last as long as a ``with`` block; this thread is on the same bridge.

    Args:
        count: number of members.
    """

    def __init__(self, count: int) -> None:
        self.members: Sequence[Member] = ()
        self._count = count
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Create the namespaces and the bridge.

        Raises:
            NoNetworksError: this machine does not allow it.
        """
        missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
        if missing or not Path("/proc/self/ns/net").exists():
            raise NoNetworksError(f"no {' and no '.join(missing) or 'Linux namespaces'} here")
        if os.geteuid() != 0:
            raise NoNetworksError("only root may make network namespaces")
        with ExitStack() as stack:
            former = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            stack.callback(os.close, former)
            try:
                _call_libc("unshare", _CLONE_NEWNET)
                stack.callback(_call_libc, "setns", former, _CLONE_NEWNET)
                _run("ip", "link", "set", "lo", "up")
                _run("ip", "link", "add", "bridge0", "type", "bridge")
                _run("ip", "address", "add", f"{_OWN_HOST}/24", "dev", "bridge0")
                _run("ip", "link", "set", "bridge0", "up")
                self.members = [self._add(stack, number) for number in range(self._count)]
            except (OSError, subprocess.CalledProcessError) as error:
                reason = getattr(error, "stderr", "") or str(error)
                raise NoNetworksError(f"no network namespaces: {reason.strip()}") from error
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _add(self, stack: ExitStack, number: int) -> Member:
        # The holder keeps the namespace until its input ends, which is when this process closes it
        # or dies. Its first line shows that it is in its new namespace.
        holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert holder.stdin is not None
        assert holder.stdout is not None
        stack.callback(holder.wait)
        stack.callback(holder.stdout.close)
        stack.callback(holder.stdin.close)
        holder.stdout.readline()
        member = Member(f"{_NETWORK}.{number + 1}", holder)
        member.wire(number, holder.pid)
        return member


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _call_libc(name: str, *arguments: int) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
