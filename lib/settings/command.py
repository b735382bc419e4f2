"""Runs jobs and commands with logging, one-line errors and exit codes."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import Any

from lib.errors import ScoringError, SettingsError
from lib.exit_codes import ExitCode, find_exit_code
from lib.file_errors import build_file_error, is_full
from lib.log_lines import (
    ERROR_LOGGER,
    RESULT_LOGGER,
    JsonFormatter,
    build_error_line,
    build_line,
)
from lib.settings.base import JobSettings
from lib.settings.load import Settings, load_settings
from lib.setup.log.form import adopt_log_format, is_json, keep_log_format

_TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
#: The logger of the lines about a start, which are told without --verbose too.
START_LOGGER = f"{__name__.partition('.')[0]}.start"


def run_job(
    kind: type[Settings],
    work: Callable[[Settings], int],
    arguments: Sequence[str] | None = None,
) -> int:
    """Load settings, run a job, and report an error of this project in one line.

    Args:
        kind: the class of the job's settings.
        work: the job, which returns its exit code.
        arguments: the command line; by default that of this process.

    Returns:
        The exit code, one of ``lib.exit_codes``.
    """
    words = sys.argv[1:] if arguments is None else arguments
    adopt_log_format(words)
    try:
        settings = load_settings(kind, words)
    except SettingsError as error:
        report_error(error)
        return find_exit_code(error)
    keep_log_format(settings.log_format)
    configure_logging(settings)
    return run_command(lambda: work(settings), verbose=settings.verbose)


def run_command(work: Callable[[], int], *, verbose: bool = False) -> int:
    """Run a command, and report an error of this project in one line.

    Args:
        work: the command, which returns its exit code.
        verbose: whether the trace of an error is logged too.

    Returns:
        The exit code, one of ``lib.exit_codes``.
    """
    try:
        code = work()
        sys.stdout.flush()
        return code
    except ScoringError as error:
        if verbose:
            logging.getLogger(__name__).exception("the job failed")
        report_error(error)
        return find_exit_code(error)
    except OSError as error:
        if error.filename is None and not is_full(error):
            raise
        if verbose:
            logging.getLogger(__name__).exception("the job failed")
        if error.filename is None:
            _drop_output()
        failure = build_file_error(error)
        report_error(failure)
        return find_exit_code(failure)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def print_lines(lines: Generator[str, None, int]) -> int:
    """Print lines as they come, and return the exit code that their source returns.

    A reader that has closed the pipe, such as ``head``, ends it in silence.
    """
    try:
        while True:
            try:
                sys.stdout.write(f"{next(lines)}\n")
            except StopIteration as end:
                return int(end.value)
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return ExitCode.DONE


def _drop_output() -> None:
    """Drop what standard output still holds: Python would try to write it once more at its end."""
    with suppress(OSError, ValueError):  # a test's standard output is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def report_error(error: ScoringError) -> None:
    """Write one line to standard error."""
    sys.stderr.write(f"{build_error_line(error) if is_json() else f'error: {error}'}\n")


def tell(message: str, **fields: Any) -> None:
    """Write one line about a result to standard error.

    Args:
        message: the line.
        fields: its numbers, which the line has too where the log is JSON.
    """
    line = build_line("INFO", RESULT_LOGGER, message, **fields) if is_json() else message
    sys.stderr.write(f"{line}\n")


def configure_logging(settings: JobSettings) -> None:
    """Log warnings of libraries and messages of this project, without contents of records."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if is_json() else logging.Formatter(_TEXT))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    if is_json():
        _log_what_python_prints()
    package = __name__.partition(".")[0]
    logging.getLogger(package).setLevel(logging.DEBUG if settings.verbose else logging.WARNING)
    logging.getLogger(START_LOGGER).setLevel(logging.INFO)
    if not settings.verbose:
        # These loggers print traces of errors that the job reports in one line.
        for name in ("py4j", "SQLQueryContextLogger"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _log_what_python_prints() -> None:
    """Log warnings and tracebacks, which Python itself prints."""

    def log(*error: Any) -> None:
        logging.getLogger(ERROR_LOGGER).critical("an error that nothing handles", exc_info=error)

    sys.excepthook = log
    threading.excepthook = lambda it: log(it.exc_type, it.exc_value, it.exc_traceback)
    logging.captureWarnings(True)
