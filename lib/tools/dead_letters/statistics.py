"""Counts dead letters by rule and field. Pure."""

from __future__ import annotations

import heapq
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from lib.messages.dead_letter import ErrorType
from lib.printable import align, escape
from lib.tools.dead_letters.entry import Entry, format_time
from lib.tools.dead_letters.selection import Outcome

_NEWEST = 3
_TITLES = ("letters", "share", "first", "last", "newest", "error", "rule", "field")

#: Kind of error, rule and field; the last two are empty where the record breaks no rule.
Cause = tuple[ErrorType, str, str]


@dataclass
class Tally:
    """The letters of one cause.

    Attributes:
        letters: the number of letters.
        first, last: the times of the oldest and of the newest; None if none has a time.
        newest: (order, place) of the newest few.
    """

    letters: int = 0
    first: datetime | None = None
    last: datetime | None = None
    newest: list[tuple[tuple[datetime, int, int], str]] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Count a letter."""
        self.letters += 1
        if (time := entry.time) is not None:
            self.first = time if self.first is None else min(self.first, time)
            self.last = time if self.last is None else max(self.last, time)
        keep = heapq.heappush if len(self.newest) < _NEWEST else heapq.heappushpop
        keep(self.newest, (entry.order, entry.place))

    @property
    def places(self) -> list[str]:
        """The places of the newest few, the newest first."""
        return [place for _, place in sorted(self.newest, reverse=True)]


@dataclass
class Statistics:
    """The counts over dead letters.

    Attributes:
        total: the tally of all chosen letters.
        tallies: cause → letters that have it; a letter may have several.
        left_out: reason → number of letters that were not counted for it.
        came_back: the letters whose records were sent again before, and failed again.
    """

    total: Tally = field(default_factory=Tally)
    tallies: dict[Cause, Tally] = field(default_factory=lambda: defaultdict(Tally))
    left_out: Counter[Outcome] = field(default_factory=Counter)
    came_back: int = 0
    _offsets: dict[int, array[int]] = field(default_factory=lambda: defaultdict(_build_offsets))

    def add(self, entry: Entry) -> None:
        """Count a chosen letter, once for each of its causes."""
        letter = entry.letter
        self.total.add(entry)
        self.came_back += letter.retry_count > 0
        if letter.source_partition is not None and letter.source_offset is not None:
            self._offsets[letter.source_partition].append(letter.source_offset)
        causes = {(letter.error_type, str(it.rule), it.field) for it in letter.violations}
        for cause in causes or {(letter.error_type, "", "")}:
            self.tallies[cause].add(entry)

    @property
    def second_copies(self) -> int:
        """The number of letters whose record, at the same place, has another letter.

        At-least-once delivery writes such copies. An envelope does not name the place.
        """
        return sum(len(it) - len(np.unique(np.asarray(it))) for it in self._offsets.values())

    @property
    def ranked(self) -> list[tuple[Cause, Tally]]:
        """The causes, the most frequent first."""
        return sorted(self.tallies.items(), key=lambda it: (-it[1].letters, it[0]))


def _build_offsets() -> array[int]:
    return array("q")


def describe_statistics(found: Statistics, topic: str) -> Iterator[str]:
    """Write the counts as lines of text."""
    total = found.total
    spread = f", from {format_time(total.first)} to {format_time(total.last)}"
    yield f"{total.letters:,} dead letters in {topic}{spread if total.letters else ''}"
    rows = [
        (
            f"{tally.letters:,}",
            f"{tally.letters / total.letters:.1%}",
            format_time(tally.first),
            format_time(tally.last),
            " ".join(tally.places),
            str(error),
            rule or "–",
            escape(name) or "–",
        )
        for (error, rule, name), tally in found.ranked
    ]
    if rows:
        yield from align([_TITLES, *rows], left=range(2, len(_TITLES)))
    if sum(tally.letters for tally in found.tallies.values()) > total.letters:
        yield "a letter counts for each rule and field, so the shares add up to more than 100 %"
    if found.came_back:
        yield f"{found.came_back:,} of them came back after they had been sent again"
    if found.second_copies:
        yield f"{found.second_copies:,} of them are second copies, which at-least-once writes"
    for outcome, count in found.left_out.most_common():
        yield f"{count:,} more are not counted: {outcome}"


def build_statistics(found: Statistics, topic: str) -> dict[str, Any]:
    """Return the counts as one object for machines."""
    return {
        "topic": topic,
        "letters": found.total.letters,
        **_build_tally(found.total),
        "came_back": found.came_back,
        "second_copies": found.second_copies,
        "left_out": {it.name.lower(): count for it, count in found.left_out.items()},
        "causes": [
            {
                "error_type": str(error),
                "rule": rule or None,
                "field": name or None,
                "letters": tally.letters,
                "share": round(tally.letters / found.total.letters, 6),
                **_build_tally(tally),
            }
            for (error, rule, name), tally in found.ranked
        ],
    }


def _build_tally(tally: Tally) -> dict[str, Any]:
    return {
        "first": None if tally.first is None else tally.first.isoformat(),
        "last": None if tally.last is None else tally.last.isoformat(),
        "newest": tally.places,
    }
