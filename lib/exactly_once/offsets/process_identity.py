"""Identifies a process, so that another one on the same machine can see that it has ended."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

# The states of a process that has ended and that nobody has waited for.
_ENDED = ("Z", "X")


def identify_process() -> str:
    """Return a text that identifies this process on its machine.

    Its number is not enough: a container with the same host name or a later process may have it
    too. So the text holds the boot of the kernel and the namespace of process numbers, as a hash,
    and the time at which the process began.

    Returns:
        Two words with a dot between them; empty where the system has no /proc.
    """
    with suppress(OSError, IndexError):
        return f"{_identify_place()}.{_read_stat(os.getpid())[1]}"
    return ""


def has_ended(pid: int, identity: str) -> bool:
    """Tell whether a process has certainly ended; False where that cannot be seen from here.

    Args:
        pid: the number of the process.
        identity: the text that :func:`identify_process` returned in that process.
    """
    place, _, started = identity.partition(".")
    if not started or pid <= 0:
        return False
    try:
        if place != _identify_place():
            return False
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # the number is in use; /proc tells whether by the same process
    except OSError:
        return False
    try:
        state, since = _read_stat(pid)
    except (OSError, IndexError):
        return False
    return state in _ENDED or since != started


def _identify_place() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    namespace = Path("/proc/self/ns/pid").readlink()
    return hashlib.sha256(f"{boot}{namespace}".encode()).hexdigest()[:12]


def _read_stat(pid: int) -> tuple[str, str]:
    """Read a process's state, and its start in ticks since boot; see proc(5)."""
    # The name in brackets may hold spaces and brackets itself.
    rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return rest[0], rest[19]
