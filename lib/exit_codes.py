"""The exit codes of all jobs, and what a supervisor does about each. Pure.

The table in ``docs/restarts.md``, the unit in ``deploy/systemd`` and ``--help`` say the same;
``tests/docs/test_exit_codes.py`` and ``tests/deploy/test_files.py`` compare them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from lib.errors import BrakeError, ScoringError, SettingsError, SinkFencedError


class ExitCode(IntEnum):
    """The exit codes of jobs.

    Spark keeps 10 to 16, 50 to 56, 101 and 126 to itself, the JVM 1, 3 and 134, systemd 200 and
    above; a shell reports signals from 129 on. spark-submit passes all others through.
    """

    DONE = 0
    FAILED = 1
    WRONG_SETTINGS = 2
    REPLACED = 4
    BRAKED = 5
    OUT_OF_MEMORY = 52
    INTERRUPTED = 130
    KILLED = 137
    TERMINATED = 143


@dataclass(frozen=True)
class Meaning:
    """The meaning of an exit code.

    Attributes:
        code: the number.
        text: the event that the code stands for.
        restarts: whether a supervisor starts the job again.
    """

    code: ExitCode
    text: str
    restarts: bool


EXIT_CODES = (
    Meaning(
        ExitCode.DONE,
        "done: stopped by a signal, or all that was asked for is done",
        restarts=False,
    ),
    Meaning(
        ExitCode.FAILED,
        "failed, or refused to start, with one line `error: …`; the next start resumes",
        restarts=True,
    ),
    Meaning(
        ExitCode.WRONG_SETTINGS,
        "a setting is wrong: it cannot be read, or contradicts another one, the session or the"
        " model",
        restarts=False,
    ),
    Meaning(
        ExitCode.REPLACED,
        "another job of this query name runs: it has taken over from this one, or holds the query,"
        " and `--owner-timeout` is over",
        restarts=False,
    ),
    Meaning(
        ExitCode.BRAKED,
        "the [brake](brake.md): too many of the last records would be dead letters",
        restarts=False,
    ),
    Meaning(
        ExitCode.OUT_OF_MEMORY,
        "the driver's JVM ran out of memory: see"
        " [what is not promised](guarantees.md#what-is-not-promised)",
        restarts=True,
    ),
    Meaning(
        ExitCode.INTERRUPTED,
        "ended by Ctrl-C, before it was done or because it could not stop in time",
        restarts=False,
    ),
    Meaning(
        ExitCode.KILLED,
        "killed by SIGKILL: by a supervisor, or by the kernel for its memory",
        restarts=True,
    ),
    Meaning(
        ExitCode.TERMINATED,
        "ended by SIGTERM, before the query was running or because it could not stop in time",
        restarts=False,
    ),
)


def find_exit_code(error: ScoringError) -> ExitCode:
    """Return the exit code of a job that ends with an error."""
    if isinstance(error, SettingsError):
        return ExitCode.WRONG_SETTINGS
    if isinstance(error, SinkFencedError):
        return ExitCode.REPLACED
    if isinstance(error, BrakeError):
        return ExitCode.BRAKED
    return ExitCode.FAILED


def describe_exit_codes() -> str:
    """Return a line with all codes for ``--help``."""
    return (
        "Exit codes: 0 done; 1 failed, start it again; 2 wrong settings; 4 another job of this"
        " query name runs, do not start it again; 5 the brake has stopped the job, do not start it"
        " again; 130 and 143 interrupted."
    )
