"""The results of checks, for the log of a start and for the table of ``jobs/check.py``. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from lib.errors import ScoringError


class Severity(Enum):
    """The effect of a finding on the start."""

    OK = auto()  # nothing is wrong
    NOTE = auto()  # the start goes on without a warning
    WARNING = auto()  # the start goes on; something may be lost, or was not checked
    ERROR = auto()  # the start is refused, or the job would fail


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        severity: the effect on the start.
        check: the name of what was checked, such as ``topic in: max.message.bytes``.
        found: the state that was found, as a phrase.
        expected: the state that was expected, as a phrase.
        text: the sentence that says what is wrong, and what is lost by it; empty if nothing is.
        hint: the way out; empty if nothing is wrong.
    """

    severity: Severity
    check: str
    found: str
    expected: str
    text: str = ""
    hint: str = ""

    @classmethod
    def ok(cls, check: str, found: object, expected: str = "") -> Finding:
        """Build the finding that all is well."""
        return cls(Severity.OK, check, str(found), expected)

    @classmethod
    def failed(cls, check: str, error: ScoringError, expected: str = "") -> Finding:
        """Build the finding for an error that would end the start."""
        return cls(Severity.ERROR, check, error.message, expected, error.message, error.hint)

    @classmethod
    def unknown(cls, check: str, reason: str, hint: str, expected: str = "") -> Finding:
        """Build the finding that something could not be checked.

        Args:
            check: the name of what was to be checked.
            reason: the reason, as a phrase.
            hint: the way to have it checked.
            expected: the state that is expected.
        """
        found = f"not checked: {reason}"
        return cls(Severity.WARNING, check, found, expected, f"{check} is {found}", hint)


def list_troubles(findings: Iterable[Finding]) -> list[Finding]:
    """List the findings that say that something is wrong."""
    return [it for it in findings if it.severity is not Severity.OK]
