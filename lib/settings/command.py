"""Runs jobs and commands with logging, one-line errors and exit codes."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from lib.errors import ScoringError, SettingsError
from lib.exit_codes import ExitCode, find_exit_code
from lib.file_errors import build_file_error, is_full
from lib.settings.base import JobSettings
from lib.settings.load import Settings, load_settings

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
    try:
        settings = load_settings(kind, sys.argv[1:] if arguments is None else arguments)
    except SettingsError as error:
        report_error(error)
        return find_exit_code(error)
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


def _drop_output() -> None:
    """Drop what standard output still holds: Python would try to write it once more at its end."""
    with suppress(OSError, ValueError):  # a test's standard output is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def report_error(error: ScoringError) -> None:
    """Write one line to standard error."""
    sys.stderr.write(f"error: {error}\n")


def configure_logging(settings: JobSettings) -> None:
    """Log warnings of libraries and messages of this project, without contents of records."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    package = __name__.partition(".")[0]
    logging.getLogger(package).setLevel(logging.DEBUG if settings.verbose else logging.WARNING)
    logging.getLogger(START_LOGGER).setLevel(logging.INFO)
    if not settings.verbose:
        # These loggers print traces of errors that the job reports in one line.
        for name in ("py4j", "SQLQueryContextLogger"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
