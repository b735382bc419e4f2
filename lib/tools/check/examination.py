"""Collects findings, and makes findings of the errors of checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from confluent_kafka import KafkaException

from lib.errors import ScoringError
from lib.file_errors import build_file_error, is_full
from lib.findings import Finding, Severity

Answer = TypeVar("Answer")


class Examination:
    """The findings so far, in the order of the checks."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def add(self, *findings: Finding) -> None:
        """Add findings."""
        self.findings += findings

    def note(self, check: str, found: object, expected: str = "") -> None:
        """Add the finding that all is well."""
        self.add(Finding.ok(check, found, expected))

    def skip(self, checks: Iterable[str], reason: str, hint: str) -> None:
        """Add the finding that it was not made for each check that has none yet."""
        made = {it.check for it in self.findings}
        self.add(*(Finding.unknown(it, reason, hint) for it in checks if it not in made))

    def passes(self, check: str, work: Callable[[], object], expected: str = "") -> bool:
        """Tell whether the work returns; see :meth:`attempt`."""
        return self.attempt(check, lambda: (work(),), expected) is not None

    def attempt(self, check: str, work: Callable[[], Answer], expected: str = "") -> Answer | None:
        """Return what the work returns; None if it fails, which becomes a finding.

        Args:
            check: the name of what the work checks.
            work: the check.
            expected: the state that is expected, as a phrase.
        """
        try:
            return work()
        except ScoringError as error:
            self.add(Finding.failed(check, error, expected))
        except OSError as error:
            if error.filename is None and not is_full(error):
                raise
            self.add(Finding.failed(check, build_file_error(error), expected))
        except KafkaException as error:
            reason = error.args[0].str()
            text, hint = f"{check}: the brokers do not tell: {reason}", "check the brokers"
            self.add(Finding(Severity.ERROR, check, reason, expected, text, hint))
        return None
