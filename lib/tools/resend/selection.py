"""Which dead letters are sent again. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from lib.messages.dead_letter import DeadLetter, ErrorType
from lib.record.violations import Rule


class Outcome(StrEnum):
    """What became of a dead letter, as the report says it."""

    SENT = "sent again"
    NOT_CHOSEN = "not among those chosen"
    OF_OTHER_TOPIC = "of a record from another topic"
    SENT_BEFORE = "sent again before, as often as allowed"
    NOT_CORRECTED = "left out by the correction"
    UNREADABLE = "no dead letter of this project"


@dataclass(frozen=True)
class Selection:
    """Which dead letters are sent again; an empty choice takes all.

    Attributes:
        source_topic: where their records came from.
        error_types: only these errors.
        rules: only records that broke one of these.
        fields: only records with something wrong in one of these.
        max_retries: leave those alone that were sent again this often.
    """

    source_topic: str
    error_types: Collection[ErrorType] = ()
    rules: Collection[Rule] = ()
    fields: Collection[str] = ()
    max_retries: int = 1

    def judge(self, letter: DeadLetter) -> Outcome:
        """Whether to send a letter, or why not."""
        if letter.source_topic != self.source_topic:
            return Outcome.OF_OTHER_TOPIC
        if not self._is_chosen(letter):
            return Outcome.NOT_CHOSEN
        if letter.retry_count >= self.max_retries:
            return Outcome.SENT_BEFORE
        return Outcome.SENT

    def _is_chosen(self, letter: DeadLetter) -> bool:
        """Whether one and the same violation is of a chosen rule and a chosen field."""
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
    """What is wrong with a record first of all, without its contents."""
    if not letter.violations:
        return str(letter.error_type)
    first = letter.violations[0]
    return f"{letter.error_type}: {first.field or 'record'} {first.rule}"
