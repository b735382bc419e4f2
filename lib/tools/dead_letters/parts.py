"""Gathers dead letters into transactions, and reports what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from confluent_kafka import Message

from lib.decode.engines.python import decode_value
from lib.messages.dead_letter import HEADER_RETRY_COUNT, DeadLetter
from lib.record.contract import Contract
from lib.tools.dead_letters.correction import Correction, apply_correction
from lib.tools.dead_letters.entry import Entry
from lib.tools.dead_letters.selection import Outcome, Selection, name_cause, name_first

# The limits of one transaction, which ends at whichever comes first.
_PART_MESSAGES = 1_000
PART_BYTES = 16 * 1024 * 1024

Position = tuple[int, int]


@dataclass
class ResendReport:
    """The report of a run: the outcomes of the dead letters that were read.

    Attributes:
        counts: (what is wrong with the record, what became of the letter) → number of letters.
        still_wrong: (what is wrong with the record, what is wrong with the value to send) → number
            of letters; only counted where values are checked.
        ends: partition of the dead-letter topic → offset up to which it was read.
    """

    counts: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    still_wrong: Counter[tuple[str, str]] = field(default_factory=Counter)
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
        self.still_wrong.update(other.still_wrong)
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


@dataclass(frozen=True)
class Plan:
    """The choice of letters to send, and what is sent.

    Attributes:
        selection: the choice of letters.
        max_retries: the number of times that a letter is sent again at most.
        correct: a function that makes the value to send; None to send the record unchanged.
    """

    selection: Selection
    max_retries: int = 1
    correct: Correction | None = None


def iter_parts(
    messages: Iterable[Message], plan: Plan, contract: Contract | None = None
) -> Iterator[Part]:
    """Decide which dead letters are sent, and gather them.

    Args:
        messages: the messages of the dead-letter topic.
        plan: the choice of letters to send, and what is sent.
        contract: the contract that the values to send are checked against; None to check nothing.

    Yields:
        The content of one transaction after the other.

    Raises:
        CorrectionError: the correction failed.
    """
    part = Part()
    for message in messages:
        _enter(part, message, plan, contract)
        if part.is_full:
            yield part
            part = Part()
    if part.report.read:
        yield part


def _enter(part: Part, message: Message, plan: Plan, contract: Contract | None) -> None:
    position = (cast("int", message.partition()), cast("int", message.offset()))
    try:
        entry = Entry.from_message(message)
    except ValueError:
        part.note(position, Outcome.UNREADABLE, str(Outcome.UNREADABLE))
        return
    letter = entry.letter
    outcome, value = plan.selection.judge(entry, plan.max_retries), letter.value
    if outcome is Outcome.SENT and plan.correct is not None:
        value = apply_correction(plan.correct, letter, f"[{position[0]}]@{position[1]}")
        outcome = Outcome.NOT_CORRECTED if value is None else outcome
    cause = name_cause(letter)
    part.note(position, outcome, cause)
    if outcome is Outcome.SENT:
        part.add(_build_row(letter, value, position))
        violations = () if contract is None else decode_value(value, contract).violations
        if violations:
            part.report.still_wrong[cause, name_first(violations)] += 1


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
