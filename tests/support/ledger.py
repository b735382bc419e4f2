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
from math import inf

import orjson
import pyarrow as pa

from lib.messages.dead_letter import HEADER_OFFSET, HEADER_PARTITION
from lib.stream.trial.buckets import is_chosen
from tests.support.champions import Champions
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
    UNPROMOTED = "unpromoted"  # the version was not, or not any more, the champion of the key
    MISROUTED = "misrouted"  # the challenger answers another one's key, or another one its key


@dataclass(frozen=True)
class Rivals:
    """The models beside the champion.

    Attributes:
        challenger, shadow: their names, as messages have them.
        share: the challenger's share of the keys.
    """

    challenger: str
    shadow: str
    share: float


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
        champions: the promotions; None if the champion is not followed.
        rivals: the models beside the champion; None for none.
    """

    def __init__(
        self,
        records: NumberedRecords,
        probabilities: Probabilities,
        champions: Champions | None = None,
        rivals: Rivals | None = None,
    ) -> None:
        self.records = records
        self.messages = 0
        self.model_versions: Counter[str] = Counter()
        self.champions = champions
        self.shadow_errors = 0
        self._rivals = rivals
        self._is_chosen: dict[bytes, bool] = {}
        self._shadows = bytearray()  # number of a shadow's messages for each record
        self._last_shadow_of_key: dict[int, int] = {}
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
        champions = None if self.champions is None else self.champions.blank()
        ledger = Ledger(self.records, self._probabilities, champions, self._rivals)
        ledger._keys = array("i", self._keys)
        ledger._aborted = self._aborted
        ledger._predictions = bytearray(len(self._keys))
        ledger._dead_letters = bytearray(len(self._keys))
        ledger._shadows = bytearray(len(self._keys))
        return ledger

    @property
    def shadows(self) -> int:
        """Number of records for which a shadow has a message."""
        return len(self._shadows) - self._shadows.count(0)

    @property
    def unshadowed(self) -> int:
        """Number of predictions without a shadow's message beside them."""
        pairs = zip(self._predictions, self._shadows, strict=False)
        return sum(bool(prediction) and not shadow for prediction, shadow in pairs)

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

    def expect_broken(self) -> tuple[bytes, bytes | None]:
        """Number a record that is broken whatever its number, as one of a flood."""
        return self._number(_BROKEN, is_aborted=False)

    def _number(self, key: int, *, is_aborted: bool) -> tuple[bytes, bytes | None]:
        with self._numbering:
            number = len(self._keys)
            self._predictions.append(0)
            self._dead_letters.append(0)
            self._shadows.append(0)
            self._aborted += is_aborted
            what = _BROKEN if is_broken(number) else key
            self._keys.append(_ABORTED if is_aborted else what)
        if what == _BROKEN:
            return self.records.broken(number)
        return self.records.valid(number, key)

    def note_prediction(
        self, key: bytes | None, value: bytes | None, where: str = "", at_s: float = inf
    ) -> None:
        """Note a message of the output topic.

        Args:
            key, value: key and value of the message.
            where: place of the message, for the examples.
            at_s: time of the message in seconds since 1970.
        """
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
        self._check_version(
            key or b"", place, version, at_s, f"number {number} by {version} {where}"
        )

    def _check_version(self, key: bytes, place: int, version: str, at_s: float, where: str) -> None:
        """Check that the version is the one that has to answer the key."""
        if self._rivals is not None:
            is_challenger = version == self._rivals.challenger
            if is_challenger != self._belongs_to_challenger(key, self._rivals.share):
                self._account.note(Fault.MISROUTED, where)
            if is_challenger:
                return
        champion = version.partition("/")[0]
        if self.champions is not None and not self.champions.note(place, champion, at_s):
            self._account.note(Fault.UNPROMOTED, where)

    def _belongs_to_challenger(self, key: bytes, share: float) -> bool:
        if key not in self._is_chosen:
            record = pa.record_batch(
                {
                    "source_key": pa.array([key], pa.binary()),
                    "source_partition": pa.array([0], pa.int32()),
                    "source_offset": pa.array([0], pa.int64()),
                }
            )
            self._is_chosen[key] = bool(is_chosen(record, share)[0])
        return self._is_chosen[key]

    def note_shadow(self, key: bytes | None, value: bytes | None, where: str = "") -> None:
        """Note a message of the shadows' topic; ``where`` is its place, for the examples."""
        try:
            fields = orjson.loads(value or b"")
            number = read_event_time(fields["event_ts"].encode())
            version, probability = fields["model_version"], fields["churn_probability"]
        except (ValueError, KeyError, AttributeError, TypeError):
            number = None
        place = read_valid_key(key or b"")
        is_ours = self._rivals is not None and number is not None and place is not None
        if not is_ours or not self._is_due(number or 0, -3 if place is None else place):
            self._account.note(Fault.UNEXPECTED, f"shadow {where}")
            return
        assert number is not None
        assert place is not None
        assert self._rivals is not None
        if self._shadows[number]:
            self._account.note(Fault.DUPLICATED, f"shadow of number {number} {where}")
        self._shadows[number] = min(self._shadows[number] + 1, 255)
        if number < self._last_shadow_of_key.get(place, -1):
            self._account.note(Fault.REORDERED, f"shadow of number {number} {where}")
        self._last_shadow_of_key[place] = max(number, self._last_shadow_of_key.get(place, -1))
        if "shadow_error" in fields:
            self.shadow_errors += 1
            return
        wanted = self._probabilities[self._rivals.shadow][place % self.records.pool_size]
        if version != self._rivals.shadow or abs(wanted - probability) > _TOLERANCE:
            self._account.note(Fault.DIFFERING, f"shadow of number {number} by {version} {where}")

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

    def count_answers(self, version: str) -> int:
        """Count the predictions of a version, like ``churn@1``, whatever engine has scored it."""
        counts = dict(self.model_versions)
        return sum(it for name, it in counts.items() if name.partition("/")[0] == version)

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
