"""Compare each answer with the record that it answers, without keeping either."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from lib.decode.engines.python import decode_value
from lib.messages.dead_letter import DeadLetter
from lib.messages.header_names import CONNECT_PREFIX, SCORING_PREFIX, TRACE_HEADERS
from lib.record.prediction import Prediction
from tests.hostile.records import Headers, build_record, find_index
from tests.support.telco import CUSTOMER

_MAX_EXAMPLES = 20


@dataclass
class HostileAccount:
    """The account of one topic's records and their answers.

    Attributes:
        seed: seed of the records.
        numbers: numbers of the records; partition p has ``numbers[o * partitions + p]`` at offset
            o.
        partitions: number of the topic's partitions.
        predictions, dead_letters: numbers of messages.
        faults: kind of fault → count.
        examples: the first faults, each with the number of its record, from which the record can be
            built again.
    """

    seed: int
    numbers: range
    partitions: int
    predictions: int = 0
    dead_letters: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._answers = bytearray(len(self.numbers))

    def add_prediction(self, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Count and check a message of the output topic."""
        self.predictions += 1
        prediction = Prediction.from_value(value or b"", CUSTOMER)
        number = find_index((key or b"").decode("utf-8", "replace"))
        if number is None:
            number = find_index(prediction.identifier)
        if number is None or not self._note_answer(number):
            self._note("unexpected", number)
            return
        record = build_record(self.seed, number)
        decoded = decode_value(record.value, CUSTOMER)
        if not decoded.is_valid:
            self._note("invalid but scored", number)
        if key != record.key:
            self._note("key altered", number)
        if prediction.identifier != decoded.identifier:
            self._note("identifier altered", number)
        if prediction.probability is None or not 0 <= prediction.probability <= 1:
            self._note("no probability", number)
        if list(headers) != [pair for pair in record.headers if pair[0] in TRACE_HEADERS]:
            self._note("headers altered", number)

    def add_dead_letter(self, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Count and check a message of the dead-letter topic."""
        self.dead_letters += 1
        try:
            letter = DeadLetter.from_message(key, value, headers)
        except ValueError as error:
            self._note(f"unreadable ({type(error).__name__})", None)
            return
        number = self._number_at(letter.source_partition, letter.source_offset)
        if number is None or not self._note_answer(number):
            self._note("unexpected", number)
            return
        record = build_record(self.seed, number)
        expected = decode_value(record.value, CUSTOMER).violations
        if not expected:
            self._note("valid but refused", number)
        elif [(v.field, v.rule) for v in letter.violations] != [
            (v.field, v.rule) for v in expected
        ]:
            self._note("other reasons", number)
        if value != record.value:
            self._note("bytes altered", number)
        if key != record.key:
            self._note("key altered", number)
        if _foreign(headers) != _foreign(record.headers):
            self._note("headers altered", number)

    def close(self) -> None:
        """Count the records without an answer; call this once, at the end."""
        for position, answers in enumerate(self._answers):
            if answers == 0:
                self._note("missing", self.numbers[position])

    def _number_at(self, partition: int | None, offset: int | None) -> int | None:
        if partition is None or offset is None or not 0 <= partition < self.partitions:
            return None
        position = offset * self.partitions + partition
        return self.numbers[position] if 0 <= position < len(self.numbers) else None

    def _note_answer(self, number: int) -> bool:
        """Tell whether the number is one of ours; a second answer is a fault."""
        if number not in self.numbers:
            return False
        position = self.numbers.index(number)
        if self._answers[position]:
            self._note("answered twice", number)
        self._answers[position] = 1
        return True

    def _note(self, fault: str, number: int | None) -> None:
        self.faults[fault] += 1
        if len(self.examples) < _MAX_EXAMPLES:
            self.examples.append(f"{fault}: record {number} of seed {self.seed}")


def _foreign(headers: Iterable[tuple[str, bytes | None]]) -> list[tuple[str, bytes | None]]:
    """Return the headers that the job must pass on: all except those that it writes itself."""
    return [pair for pair in headers if not pair[0].startswith((CONNECT_PREFIX, SCORING_PREFIX))]
