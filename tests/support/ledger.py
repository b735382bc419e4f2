"""Account for numbered records while a job runs, with a few bytes for each record.

The sender registers each record (:meth:`Ledger.expect`) before it sends it; the reader notes each
answer. The number of missing answers is known at any time, and is final at the end.
"""

from __future__ import annotations

import threading
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import orjson

from lib.messages.dead_letter import HEADER_OFFSET, HEADER_PARTITION
from tests.support.numbered import (
    NumberedRecords,
    is_broken,
    read_broken_key,
    read_event_time,
    read_valid_key,
)

# Messages carry probabilities with six decimals.
_TOLERANCE = 5.1e-7
_BROKEN = -1
_ABORTED = -2
# This many numbers are kept as examples for each kind of fault.
_EXAMPLES = 10

Headers = Sequence[tuple[str, bytes | None]]
# model_version → probability by place in the pool
Probabilities = Mapping[str, Sequence[float]]


class Fault(StrEnum):
    """Kinds of fault that answers can have."""

    MISSING = "missing"
    DUPLICATED = "duplicated"
    # Answers of a key, or dead letters of a source partition, are out of order.
    REORDERED = "reordered"
    BOTH = "both"  # a record has a prediction and a dead letter
    DIFFERING = "differing"  # the probability is not that of the model that the message names
    ALTERED = "altered"  # the bytes are not those that were sent
    UNEXPECTED = "unexpected"  # the record was never sent, or the other kind of answer was due


@dataclass
class Account:
    """The faults found so far.

    Attributes:
        counts: kind of fault → count; kinds without any are left out.
        examples: kind of fault → places where it was found first.
    """

    counts: Counter[Fault] = field(default_factory=Counter)
    examples: dict[Fault, list[str]] = field(default_factory=dict)

    def note(self, fault: Fault, where: str) -> None:
        """Count one more fault."""
        self.counts[fault] += 1
        seen = self.examples.setdefault(fault, [])
        if len(seen) < _EXAMPLES:
            seen.append(where)


class Ledger:
    """The expected and the found answers, record by record.

    Any thread may call :meth:`expect` and :meth:`expect_none`; only one thread notes answers.

    Args:
        records: maker of the records that are sent.
        probabilities: expected probabilities of each model that may score; a message names its
            model.
    """

    def __init__(self, records: NumberedRecords, probabilities: Probabilities) -> None:
        self.records = records
        self.messages = 0
        self.model_versions: Counter[str] = Counter()
        self._probabilities = probabilities
        self._keys = array("i")  # the key by number, or _BROKEN or _ABORTED
        self._aborted = 0
        self._numbering = threading.Lock()
        self._predictions = bytearray()  # number of answers to each record, at most 255
        self._dead_letters = bytearray()
        self._last_of_key: dict[int, int] = {}
        self._last_of_partitions: dict[tuple[int, int], int] = {}
        self._account = Account()
        self._answered = 0

    @property
    def expected(self) -> int:
        """Number of records that were sent, or are about to be, and need an answer."""
        return len(self._keys) - self._aborted

    @property
    def answered(self) -> int:
        """Number of records with at least one answer."""
        return self._answered

    @property
    def faults_so_far(self) -> Mapping[Fault, int]:
        """Kind of fault → count, without missing answers, which may still come."""
        return self._account.counts

    def blank(self) -> Ledger:
        """Return a ledger with the same expectations and no answers, to read everything again."""
        ledger = Ledger(self.records, self._probabilities)
        ledger._keys = array("i", self._keys)
        ledger._aborted = self._aborted
        ledger._predictions = bytearray(len(self._keys))
        ledger._dead_letters = bytearray(len(self._keys))
        return ledger

    def expect(self, key: int) -> tuple[bytes, bytes | None]:
        """Number one more record and return what is to be sent: (key, value).

        Args:
            key: key of the record, if it is a valid one. The records of a key have to keep their
                order, so they must all go to one partition.
        """
        return self._number(key, is_aborted=False)

    def expect_none(self, key: int) -> tuple[bytes, bytes | None]:
        """Number a record of a transaction that will be aborted, so that no answer is due."""
        return self._number(key, is_aborted=True)

    def _number(self, key: int, *, is_aborted: bool) -> tuple[bytes, bytes | None]:
        with self._numbering:
            number = len(self._keys)
            self._predictions.append(0)
            self._dead_letters.append(0)
            self._aborted += is_aborted
            what = _BROKEN if is_broken(number) else key
            self._keys.append(_ABORTED if is_aborted else what)
        if is_broken(number):
            return self.records.broken(number)
        return self.records.valid(number, key)

    def note_prediction(self, key: bytes | None, value: bytes | None, where: str = "") -> None:
        """Note a message of the output topic; ``where`` is its place, for the examples."""
        self.messages += 1
        try:
            fields = orjson.loads(value or b"")
            number = read_event_time(fields["event_ts"].encode())
            version, probability = fields["model_version"], fields["churn_probability"]
            name = fields["customerID"].encode()
        except (ValueError, KeyError, AttributeError, TypeError):
            number = None
        place = read_valid_key(key or b"")
        if number is None or place is None or not self._is_due(number, place) or name != key:
            self._account.note(Fault.UNEXPECTED, f"prediction {where}")
            return
        self._count(self._predictions, number, where)
        if number < self._last_of_key.get(place, -1):
            self._account.note(Fault.REORDERED, f"number {number} {where}")
        else:
            self._last_of_key[place] = number
        self.model_versions[version] += 1
        known = self._probabilities.get(version)
        wanted = None if known is None else known[place % self.records.pool_size]
        if wanted is None or abs(wanted - probability) > _TOLERANCE:
            self._account.note(Fault.DIFFERING, f"number {number} by {version} {where}")

    def note_dead_letter(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        partition: int = 0,
        where: str = "",
    ) -> None:
        """Note a message of the dead-letter topic, in the format with headers."""
        self.messages += 1
        self._check_order(headers, partition, where)
        number = read_broken_key(key or b"")
        if number is None:  # a valid record that was not scored has its number in its value
            number, due = read_event_time(value or b""), False
        else:
            due = self._is_due(number, _BROKEN)
        if number is None or not self._is_awaited(number):
            self._account.note(Fault.UNEXPECTED, f"dead letter {where}")
            return
        self._count(self._dead_letters, number, where)
        if not due:
            self._account.note(Fault.UNEXPECTED, f"dead letter of valid number {number} {where}")
        elif value != self.records.broken(number)[1]:
            self._account.note(Fault.ALTERED, f"number {number} {where}")

    def examine(self) -> Account:
        """Return all faults; a record without an answer counts as missing."""
        account = Account(
            Counter(self._account.counts),
            {fault: list(examples) for fault, examples in self._account.examples.items()},
        )
        for number in self.iter_missing():
            account.note(Fault.MISSING, f"number {number}")
        return account

    def iter_missing(self) -> Sequence[int]:
        """Return the numbers of the records without any answer."""
        if self._answered == self.expected:
            return []
        pairs = zip(self._predictions, self._dead_letters, strict=False)
        return [
            number
            for number, (one, other) in enumerate(pairs)
            if not one and not other and self._is_awaited(number)
        ]

    def _is_awaited(self, number: int) -> bool:
        return number < len(self._keys) and self._keys[number] != _ABORTED

    def _is_due(self, number: int, key: int) -> bool:
        return number < len(self._keys) and self._keys[number] == key

    def _count(self, answers: bytearray, number: int, where: str) -> None:
        other = self._dead_letters if answers is self._predictions else self._predictions
        if answers[number]:
            self._account.note(Fault.DUPLICATED, f"number {number} {where}")
        elif other[number]:
            self._account.note(Fault.BOTH, f"number {number} {where}")
        else:
            self._answered += 1
        answers[number] = min(answers[number] + 1, 255)

    def _check_order(self, headers: Headers, partition: int, where: str) -> None:
        """Check that the dead letters of a source partition come in the order of its offsets."""
        found = {name: int(value) for name, value in headers if name in _POSITION and value}
        if found.keys() != _POSITION:
            self._account.note(Fault.UNEXPECTED, f"dead letter without its source {where}")
            return
        pair, offset = (found[HEADER_PARTITION], partition), found[HEADER_OFFSET]
        if offset < self._last_of_partitions.get(pair, -1):
            self._account.note(Fault.REORDERED, f"source {pair[0]}@{offset} {where}")
        else:
            self._last_of_partitions[pair] = offset


_POSITION = frozenset({HEADER_PARTITION, HEADER_OFFSET})
