"""Chooses the dead letters that are sent again. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from lib.messages.dead_letter import DeadLetter, ErrorType
from lib.record.violations import Rule


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
    """The choice of dead letters that are sent again; an empty choice takes all.

    Attributes:
        source_topic: the topic that the records came from.
        error_types: the chosen types of errors.
        rules: the chosen rules, one of which the record has broken.
        fields: the chosen fields, one of which is wrong in the record.
        max_retries: the number of times that a letter is sent again at most.
    """

    source_topic: str
    error_types: Collection[ErrorType] = ()
    rules: Collection[Rule] = ()
    fields: Collection[str] = ()
    max_retries: int = 1

    def judge(self, letter: DeadLetter) -> Outcome:
        """Decide whether to send a letter, or why not."""
        if letter.source_topic != self.source_topic:
            return Outcome.OF_OTHER_TOPIC
        if not self._is_chosen(letter):
            return Outcome.NOT_CHOSEN
        if letter.retry_count >= self.max_retries:
            return Outcome.SENT_BEFORE
        return Outcome.SENT

    def _is_chosen(self, letter: DeadLetter) -> bool:
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
    first = letter.violations[0]
    return f"{letter.error_type}: {first.field or 'record'} {first.rule}"
