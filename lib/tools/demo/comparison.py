"""Compares the records that were sent with the messages that came back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lib.tools.produce.mixture import Message

# A problem quotes so many keys. They are synthetic, so they may be shown.
_MAX_NAMED = 3


@dataclass(frozen=True)
class Comparison:
    """The outcome of a comparison.

    Attributes:
        sent: the number of records.
        predictions, dead_letters: the numbers of messages that came back.
        problems: one sentence for each kind of difference.
    """

    sent: int
    predictions: int
    dead_letters: int
    problems: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every record came back once, in the right place."""
        return not self.problems


class SentRecords:
    """The records that were sent; each has a key of its own."""

    def __init__(self) -> None:
        # The value of a valid record is not needed again.
        self._valid: set[bytes] = set()
        self._broken: dict[bytes, bytes | None] = {}

    def __len__(self) -> int:
        return len(self._valid) + len(self._broken)

    def note(self, message: Message) -> None:
        """Note a record that is sent."""
        if message.fault is None:
            self._valid.add(message.key)
        else:
            self._broken[message.key] = message.value

    def compare(
        self,
        predictions: Sequence[bytes | None],
        dead_letters: Sequence[tuple[bytes | None, bytes | None]],
    ) -> Comparison:
        """Compare the records with all the messages of the output topics.

        Args:
            predictions: the key of each prediction.
            dead_letters: key and value of each dead letter.
        """
        dead_keys = [key for key, _ in dead_letters]
        seen = Counter([*predictions, *dead_keys])
        sent = self._valid | self._broken.keys()
        altered = [
            key for key, value in dead_letters if self._broken.get(key or b"", value) != value
        ]
        findings = {
            "records that never came back": sent - seen.keys(),
            "records that came back more than once": [
                key for key, times in seen.items() if times > 1
            ],
            "records that were never sent": seen.keys() - sent,
            "valid records that became dead letters": self._valid.intersection(dead_keys),
            "broken records that were scored": self._broken.keys() & set(predictions),
            "dead letters with other bytes than were sent": altered,
        }
        problems = tuple(_describe(what, keys) for what, keys in findings.items() if keys)
        return Comparison(len(self), len(predictions), len(dead_letters), problems)


def _describe(what: str, keys: Iterable[bytes | None]) -> str:
    names = sorted("no key" if key is None else key.decode(errors="replace") for key in keys)
    dots = ", …" if len(names) > _MAX_NAMED else ""
    return f"{what}: {len(names):,} ({', '.join(names[:_MAX_NAMED])}{dots})"
