"""Runs jobs and commands with logging, one-line errors and exit codes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence

from lib.errors import ScoringError, SettingsError
from lib.exit_codes import ExitCode, find_exit_code
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
        return work()
    except ScoringError as error:
        if verbose:
            logging.getLogger(__name__).exception("the job failed")
        report_error(error)
        return find_exit_code(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


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
