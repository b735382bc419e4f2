"""Chooses dead letters: those that are counted, listed, shown or sent again. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lib.messages.dead_letter import DeadLetter, ErrorType
from lib.record.violations import RECORD_RULES, Rule, Violation
from lib.tools.dead_letters.entry import Entry


class Outcome(StrEnum):
    """The outcome of a dead letter in the words of the report."""

    SENT = "sent again"
    NOT_CHOSEN = "not among those chosen"
    OF_OTHER_TOPIC = "of a record from another topic"
    SENT_BEFORE = "sent again before, as often as allowed"
    NOT_CORRECTED = "left out by the correction"
    UNREADABLE = "no dead letter of this project"


@dataclass(frozen=True)
class Selection:
    """The choice of dead letters; an empty choice takes all of a source topic.

    Attributes:
        source_topic: the topic that the records came from.
        error_types: the chosen types of errors.
        rules: the chosen rules, one of which the record has broken.
        fields: the chosen fields, one of which is wrong in the record.
        keys: the chosen keys of records.
        partitions: the chosen partitions of the source topic, None for all. An envelope names none.
        since, until: the first moment at which a chosen record failed, and the first one after.
    """

    source_topic: str
    error_types: Collection[ErrorType] = ()
    rules: Collection[Rule] = ()
    fields: Collection[str] = ()
    keys: Collection[bytes] = ()
    partitions: Collection[int] | None = None
    since: datetime | None = None
    until: datetime | None = None

    def find_reason(self, entry: Entry) -> Outcome | None:
        """Tell why a letter is not chosen; None if it is."""
        if entry.letter.source_topic != self.source_topic:
            return Outcome.OF_OTHER_TOPIC
        is_chosen = self._fits_place(entry) and self._fits_errors(entry.letter)
        return None if is_chosen else Outcome.NOT_CHOSEN

    def judge(self, entry: Entry, max_retries: int) -> Outcome:
        """Decide whether to send a letter, or why not.

        Args:
            entry: the letter.
            max_retries: the number of times that a letter is sent again at most.
        """
        reason = self.find_reason(entry)
        if reason is None and entry.letter.retry_count >= max_retries:
            return Outcome.SENT_BEFORE
        return reason or Outcome.SENT

    def _fits_place(self, entry: Entry) -> bool:
        letter = entry.letter
        if self.keys and letter.key not in self.keys:
            return False
        if self.partitions is not None and letter.source_partition not in self.partitions:
            return False
        if self.since is None and self.until is None:
            return True
        time = entry.time
        if time is None:
            return False
        return (self.since is None or time >= self.since) and (
            self.until is None or time < self.until
        )

    def _fits_errors(self, letter: DeadLetter) -> bool:
        """Tell whether a single violation has both a chosen rule and a chosen field."""
        if self.error_types and letter.error_type not in self.error_types:
            return False
        if not self.rules and not self.fields:
            return True
        return any(
            (not self.rules or violation.rule in self.rules)
            and (not self.fields or violation.field in self.fields)
            for violation in letter.violations
        )


def name_cause(letter: DeadLetter) -> str:
    """Name the first error of a record, without its contents."""
    if not letter.violations:
        return str(letter.error_type)
    return f"{letter.error_type}: {name_violation(letter.violations[0])}"


def name_violation(violation: Violation) -> str:
    """Name the field and the rule of a violation."""
    return f"{violation.field or 'record'} {violation.rule}"


def name_first(violations: Collection[Violation]) -> str:
    """Name the first violation of a record as that of a dead letter is named."""
    first = next(iter(violations))
    error = ErrorType.PROCESSING if first.rule in RECORD_RULES else ErrorType.VALIDATION
    return f"{error}: {name_violation(first)}"
