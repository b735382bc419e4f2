"""Asks once whether a model that can run code is trusted, and records who has said so."""

from __future__ import annotations

import getpass
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

from lib.errors import SettingsError


def require_trust(files: Sequence[str], *, is_trusted: bool, now: datetime) -> dict[str, str]:
    """Make sure that somebody trusts the files that can run code.

    Args:
        files: the names of the files that can run code.
        is_trusted: whether the caller has said so.
        now: the time, with a time zone.

    Returns:
        The user, the machine and the time, for the version's metadata; empty for no files.

    Raises:
        SettingsError: there are such files, and nobody has said that they are trusted.
    """
    if not files:
        return {}
    if not is_trusted:
        raise SettingsError(
            f"{', '.join(files)}: can run any code of its maker when it is loaded or scores",
            hint="add --trust if you would let its maker change the code of the job; ONNX files"
            " need none",
        )
    return {
        "by": f"{_find_user()}@{platform.node()}",
        "at": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _find_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # containers may run as a user without a name
        return "unknown"
