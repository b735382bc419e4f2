"""Gathers dead letters into transactions, and reports what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from confluent_kafka import Message

from lib.messages.dead_letter import HEADER_RETRY_COUNT, DeadLetter, Headers
from lib.tools.resend.correction import Correction, apply_correction
from lib.tools.resend.selection import Outcome, Selection, name_cause

# The limits of one transaction, which ends at whichever comes first.
_PART_MESSAGES = 1_000
PART_BYTES = 16 * 1024 * 1024

Position = tuple[int, int]


@dataclass
class ResendReport:
    """The report of a run: the outcomes of the dead letters that were read.

    Attributes:
        counts: (what is wrong with the record, what became of the letter) → number of letters.
        ends: partition of the dead-letter topic → offset up to which it was read.
    """

    counts: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    ends: dict[int, int] = field(default_factory=dict)

    @property
    def outcomes(self) -> Counter[Outcome]:
        """Outcome → number of letters."""
        totals: Counter[Outcome] = Counter()
        for (_, outcome), count in self.counts.items():
            totals[outcome] += count
        return totals

    @property
    def read(self) -> int:
        """The number of dead letters that were read."""
        return self.counts.total()

    @property
    def sent(self) -> int:
        """The number of records that were sent again, or would be."""
        return self.outcomes[Outcome.SENT]

    def add(self, other: ResendReport) -> None:
        """Add the counts of a later report."""
        self.counts.update(other.counts)
        self.ends.update(other.ends)


@dataclass
class Part:
    """The content of one transaction: records to send, and the offsets that were read."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    report: ResendReport = field(default_factory=ResendReport)
    size: int = 0

    @property
    def is_full(self) -> bool:
        """Whether the transaction has reached one of its limits."""
        return self.report.read >= _PART_MESSAGES or self.size >= PART_BYTES

    def note(self, position: Position, outcome: Outcome, cause: str) -> None:
        """Count a letter that was read."""
        partition, offset = position
        self.report.ends[partition] = offset + 1
        self.report.counts[cause, outcome] += 1

    def add(self, row: dict[str, Any]) -> None:
        """Add a record to send."""
        self.rows.append(row)
        self.size += len(row["value"] or b"")


def iter_parts(
    messages: Iterable[Message], selection: Selection, correct: Correction | None
) -> Iterator[Part]:
    """Decide which dead letters are sent, and gather them.

    Args:
        messages: the messages of the dead-letter topic.
        selection: the choice of letters to send.
        correct: a function that makes the value to send; None to send the record unchanged.

    Yields:
        The content of one transaction after the other.

    Raises:
        CorrectionError: the correction failed.
    """
    part = Part()
    for message in messages:
        _enter(part, message, selection, correct)
        if part.is_full:
            yield part
            part = Part()
    if part.report.read:
        yield part


def _enter(part: Part, message: Message, selection: Selection, correct: Correction | None) -> None:
    position = (cast("int", message.partition()), cast("int", message.offset()))
    try:
        headers = cast("Headers", message.headers())  # consumers give this type
        letter = DeadLetter.from_message(message.key(), message.value(), headers)
    except ValueError:
        part.note(position, Outcome.UNREADABLE, str(Outcome.UNREADABLE))
        return
    outcome, value = selection.judge(letter), letter.value
    if outcome is Outcome.SENT and correct is not None:
        value = apply_correction(correct, letter, f"[{position[0]}]@{position[1]}")
        outcome = Outcome.NOT_CORRECTED if value is None else outcome
    part.note(position, outcome, name_cause(letter))
    if outcome is Outcome.SENT:
        part.add(_build_row(letter, value, position))


def _build_row(letter: DeadLetter, value: bytes | None, position: Position) -> dict[str, Any]:
    retries = str(letter.retry_count + 1).encode()
    headers = [*letter.headers, (HEADER_RETRY_COUNT, retries)]
    return {
        "topic": letter.source_topic,
        "key": letter.key,
        "value": value,
        "headers": [{"key": name, "value": content} for name, content in headers],
        "source_topic": None,
        "source_partition": position[0],
        "source_offset": position[1],
    }
