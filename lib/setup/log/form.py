"""Finds the form of the log before a job's settings are read.

Java and Spark start before the job reads its settings, and an error in these is a line of the log
too. So this looks at the one setting in the same three places, and passes it on to all processes by
its variable: ``conf/log4j2.properties`` looks at that.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

#: The variable of the setting ``log_format``.
LOG_FORMAT = "SCORE_LOG_FORMAT"
TEXT, JSON = "text", "json"

_FLAG = "--log-format"
_CONFIG_FLAG, _CONFIG = "--config", "SCORE_CONFIG"


def find_log_format(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path = Path()
) -> str:
    """Find the value of ``--log-format``: file < environment < command line.

    Args:
        arguments: the command line.
        environment: the variables.
        folder: the folder in which the command line was given.

    Returns:
        :data:`JSON` or :data:`TEXT`, which stands for wrong values too: the job refuses them.
    """
    found = (
        _find_flag(arguments, _FLAG)
        or environment.get(LOG_FORMAT)
        or _read_file(_find_flag(arguments, _CONFIG_FLAG) or environment.get(_CONFIG), folder)
    )
    return JSON if found == JSON else TEXT


def adopt_log_format(arguments: Sequence[str]) -> None:
    """Give this process and those that it starts the form that the command line asks for."""
    found = find_log_format(arguments, os.environ)
    if found == JSON or is_json():
        os.environ[LOG_FORMAT] = found


def keep_log_format(found: str) -> None:
    """Give this process the form that its settings have, whatever was found before."""
    if found == JSON:
        os.environ[LOG_FORMAT] = found


def is_json() -> bool:
    """Tell whether this process writes its log as JSON."""
    return os.environ.get(LOG_FORMAT) == JSON


def _find_flag(arguments: Sequence[str], flag: str) -> str | None:
    """Find the value of a flag, the last one if it stands there several times."""
    found = None
    for word, following in zip_longest(arguments, arguments[1:]):
        if word == flag:
            found = following
        elif word.startswith(f"{flag}="):
            found = word.removeprefix(f"{flag}=")
    return found


def _read_file(path: str | None, folder: Path) -> object:
    # A pipe can be read only once, by the job.
    if not path or not (folder / path).is_file():
        return None
    try:
        return tomllib.loads((folder / path).read_text(encoding="utf-8")).get("log_format")
    except (OSError, ValueError):  # the job tells what is wrong with the file
        return None
