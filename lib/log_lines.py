"""Builds lines of JSON for logs: one object a line, with the same keys whoever logs. Pure."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import Any

from lib.errors import ScoringError
from lib.exit_codes import find_exit_code

#: The keys that every line has; conf/log4j2.properties names them too.
KEYS = ("time", "level", "logger", "message")

_PACKAGE = __name__.partition(".")[0]
#: The loggers of errors that end a job, of results, and of the progress line.
ERROR_LOGGER, RESULT_LOGGER, PROGRESS_LOGGER = (
    f"{_PACKAGE}.{name}" for name in ("error", "result", "progress")
)


def build_line(
    level: str, logger: str, message: str, time_s: float | None = None, **fields: Any
) -> str:
    """Build one line, without its end.

    Args:
        level: the name of the level, as Python's ``logging`` has it.
        logger: the name of the logger.
        message: the text for people.
        time_s: the time in seconds since 1970; None for now.
        fields: further members of the object.
    """
    moment = datetime.fromtimestamp(time.time() if time_s is None else time_s, UTC)
    text = moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    return json.dumps(
        {**dict(zip(KEYS, (text, level, logger, message), strict=True)), **fields}, default=str
    )


def build_error_line(error: ScoringError) -> str:
    """Build the line of an error that ends a job or command."""
    code = int(find_exit_code(error))
    return build_line("ERROR", ERROR_LOGGER, error.message, hint=error.hint, exit_code=code)


class JsonFormatter(logging.Formatter):
    """Formats records of ``logging``; ``exception`` is the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line."""
        fields = {}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        message = record.getMessage()
        return build_line(record.levelname, record.name, message, record.created, **fields)
