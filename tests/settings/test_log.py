"""Jobs write lines of JSON from Python where these are chosen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lib.log_lines import KEYS
from tests.support.process import run_python

# A job that warns, logs, loses a thread, and ends by an error of the program.
CARELESS = """
import logging, sys, threading, warnings
from lib.settings.command import run_job, tell
from lib.settings.jobs.consume import ConsumeSettings

def work(settings):
    warnings.warn("old", DeprecationWarning, stacklevel=1)
    logging.getLogger("lib.x").warning("found %s", "x")
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    tell("1,000 predictions", count=1000)
    raise RuntimeError("no way on")

sys.exit(run_job(ConsumeSettings, work))
"""


def read_lines(text: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in text.splitlines()]
    assert all(tuple(it)[:4] == KEYS for it in found)
    return found


def test_all_that_python_itself_prints_is_logged_with_its_traceback() -> None:
    done = run_python("-W", "always", "-c", CARELESS, "--log-format", "json")

    assert (done.returncode, done.stdout) == (1, "")
    warning, own, thread, result, end = read_lines(done.stderr)
    assert (warning["level"], warning["logger"]) == ("WARNING", "py.warnings")
    assert "DeprecationWarning: old" in warning["message"]
    assert (own["logger"], own["message"]) == ("lib.x", "found x")
    assert thread["exception"].endswith("ZeroDivisionError: division by zero")
    assert (result["message"], result["count"]) == ("1,000 predictions", 1000)
    assert (end["level"], end["message"]) == ("CRITICAL", "an error that nothing handles")
    assert end["exception"].startswith("Traceback (most recent call last):")
    assert end["exception"].endswith("RuntimeError: no way on")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--log-format", "json", "--cuont", "1"],
            "unrecognized arguments: --cuont 1 (did you mean --count?)",
        ),
        (
            ["--log-format=json", "--count", "many"],
            "--count: Input should be a valid integer, unable to parse string as an integer,"
            " found 'many'",
        ),
        (
            ["--log-format", "json", "--config", "/no such file"],
            "--config /no such file: no such file",
        ),
    ],
)
def test_a_refused_start_is_one_line(words: list[str], message: str) -> None:
    done = run_python("jobs/consume.py", *words)

    assert (done.returncode, done.stdout) == (2, "")
    (line,) = read_lines(done.stderr)
    assert (line["level"], line["logger"], line["exit_code"]) == ("ERROR", "lib.error", 2)
    assert line["message"] == message
    assert line["hint"] == "correct the setting; --help lists them all"


def test_the_form_may_come_from_the_file_or_a_variable(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('log_format = "json"\ncount = 0\n')

    for done in (
        run_python("jobs/consume.py", "--config", str(own)),
        run_python("jobs/consume.py", "--count", "0", SCORE_LOG_FORMAT="json"),
    ):
        (line,) = read_lines(done.stderr)
        assert line["message"].startswith("--count: Input should be greater than or equal to 1")


def test_text_is_as_it_was() -> None:
    done = run_python("jobs/consume.py", "--count", "0")

    assert done.returncode == 2
    assert done.stderr == (
        "error: --count: Input should be greater than or equal to 1, found '0' (correct the"
        " setting; --help lists them all)\n"
    )
