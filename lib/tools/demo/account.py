"""The account of the demonstration: what was sent against what came back. Pure Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lib.tools.produce.mixture import Message

# Keys that a problem quotes; the records are synthetic.
_MAX_NAMED = 3


@dataclass(frozen=True)
class Balance:
    """The outcome of the comparison.

    Attributes:
        sent: records.
        predictions, dead_letters: messages that came back.
        problems: what does not add up, one sentence each.
    """

    sent: int
    predictions: int
    dead_letters: int
    problems: tuple[str, ...]

    @property
    def is_even(self) -> bool:
        """Whether every record came back once, in the right place."""
        return not self.problems


class Account:
    """Remembers every record that was sent. Their keys have to be different."""

    def __init__(self) -> None:
        # A valid record's value is not needed again.
        self._valid: set[bytes] = set()
        self._broken: dict[bytes, bytes | None] = {}

    def __len__(self) -> int:
        return len(self._valid) + len(self._broken)

    def note(self, message: Message) -> None:
        """Enter a record that is being sent."""
        if message.fault is None:
            self._valid.add(message.key)
        else:
            self._broken[message.key] = message.value

    def balance(
        self,
        predictions: Sequence[bytes | None],
        dead_letters: Sequence[tuple[bytes | None, bytes | None]],
    ) -> Balance:
        """Compare with everything that stands in the output topics.

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
        return Balance(len(self), len(predictions), len(dead_letters), problems)


def find_quantile(values: Iterable[float], share: float) -> float:
    """The value that ``share`` of all values do not exceed (nearest rank).

    Args:
        values: at least one.
        share: in (0, 1].
    """
    ordered = sorted(values)
    rank = -(-len(ordered) * round(share * 1000) // 1000)  # rounded up
    return ordered[max(rank, 1) - 1]


def _describe(what: str, keys: Iterable[bytes | None]) -> str:
    names = sorted("no key" if key is None else key.decode(errors="replace") for key in keys)
    dots = ", …" if len(names) > _MAX_NAMED else ""
    return f"{what}: {len(names):,} ({', '.join(names[:_MAX_NAMED])}{dots})"
