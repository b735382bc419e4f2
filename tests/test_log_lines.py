"""Lines of JSON have the same keys whoever logs, and hold any text."""

from __future__ import annotations

import json
import logging
import sys

from lib.errors import SettingsError
from lib.log_lines import JsonFormatter, build_error_line, build_line


def test_a_line_has_the_keys_of_a_log_and_its_own_fields() -> None:
    line = build_line(
        "INFO", "lib.progress", 'batch 1 "ü"\n', 1_767_323_045.6789, batch=1, lag=None
    )

    assert "\n" not in line
    assert list(json.loads(line).items()) == [
        ("time", "2026-01-02T03:04:05.678Z"),
        ("level", "INFO"),
        ("logger", "lib.progress"),
        ("message", 'batch 1 "ü"\n'),
        ("batch", 1),
        ("lag", None),
    ]


def test_an_error_has_its_hint_and_the_exit_code_as_fields() -> None:
    found = json.loads(build_error_line(SettingsError("--trigger: found x", hint="say 1 second")))

    assert found.pop("time").endswith("Z")
    assert found == {
        "level": "ERROR",
        "logger": "lib.error",
        "message": "--trigger: found x",
        "hint": "say 1 second",
        "exit_code": 2,
    }


def test_a_record_of_logging_has_its_own_time_and_its_traceback_in_one_line() -> None:
    record = logging.LogRecord("lib.start", logging.WARNING, "", 0, "found %s", ("x",), None)
    record.created = 0.5
    formatter = JsonFormatter()

    assert json.loads(formatter.format(record)) == {
        "time": "1970-01-01T00:00:00.500Z",
        "level": "WARNING",
        "logger": "lib.start",
        "message": "found x",
    }
    try:
        raise ValueError("bad")
    except ValueError:
        record.exc_info = sys.exc_info()
    line = formatter.format(record)
    assert "\n" not in line
    exception = json.loads(line)["exception"]
    assert exception.startswith("Traceback (most recent call last):\n")
    assert exception.endswith("\nValueError: bad")
