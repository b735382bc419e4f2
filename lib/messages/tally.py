"""Counts messages by their outcome, and how long their records waited for them. Pure.

A plan that is counted gives its messages the columns :data:`lib.messages.columns.TALLY_COLUMNS`. A
sink counts the messages that it has committed, so that the counts are those of a reader of its
topics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.messages.bins import BinCounts, add_bins, count_bins, read_bins
from lib.messages.columns import BINS, EVENT_TIME, OUTCOME, RECORD_TIME, SOURCE_POSITION

#: The upper bounds of the classes of waiting times, in seconds; one more class has no bound.
BOUNDS_S = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    *(30.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0),
)
_BOUNDS_MS = np.array(BOUNDS_S) * 1_000


#: The rule of a dead letter whose record is valid, but for which the model gave no probability.
NO_PROBABILITY = "no_probability"


def spell_prediction(model: str, label: str) -> str:
    """Spell the outcome of a prediction; the names of models hold no tab."""
    return f"{model}\t{label}"


def read_prediction(outcome: str) -> tuple[str, str]:
    """Read the model and the label from the outcome of a prediction."""
    model, _, label = outcome.partition("\t")
    return model, label


class Relation(StrEnum):
    """The relation of a shadow's answer to the one that the champion gave."""

    AGREES = "agrees"  # the champion gave the same label
    DIFFERS = "differs"  # the champion gave the other label
    ALONE = "alone"  # the champion gave none: it failed, or a challenger answered
    ERROR = "error"  # the shadow gave no answer


def spell_shadow(model: str, relation: Relation, what: str) -> str:
    """Spell the outcome of a shadow's message.

    Args:
        model: the name of model and backend, which holds no tab.
        relation: its relation to the champion's answer.
        what: the label, or the class of the exception for which there is none.
    """
    return f"{model}\t{relation}\t{what}"


def read_shadow(outcome: str) -> tuple[str, Relation, str]:
    """Read model, relation, and label or class, from the outcome of a shadow's message."""
    model, relation, what = outcome.split("\t", 2)
    return model, Relation(relation), what


def spell_rejection(rule: str, field_name: str) -> str:
    """Spell the outcome of a dead letter; the names of rules hold no colon."""
    return f"{rule}:{field_name}"


def read_rejection(outcome: str) -> tuple[str, str]:
    """Read the rule and the field from the outcome of a dead letter."""
    rule, _, name = outcome.partition(":")
    return rule, name


@dataclass(frozen=True)
class Waits:
    """The waiting times of some records, in classes.

    Attributes:
        counts: the number of records in each class of :data:`BOUNDS_S`, and above all of them.
        sum_s: the sum of all times in seconds.
    """

    counts: tuple[int, ...] = (0,) * (len(BOUNDS_S) + 1)
    sum_s: float = 0.0

    @classmethod
    def measure(cls, times_ms: npt.NDArray[np.int64], now_ms: float) -> Self:
        """Measure how long ago some times were; times that are still to come count as now.

        Args:
            times_ms: milliseconds since 1970, int64 [n].
            now_ms: the present time.
        """
        waits = np.maximum(now_ms - times_ms, 0.0)
        classes = np.searchsorted(_BOUNDS_MS, waits)
        counts = np.bincount(classes, minlength=len(BOUNDS_S) + 1)
        return cls(tuple(counts.tolist()), float(waits.sum()) / 1_000)

    def add(self, other: Waits) -> Waits:
        """Return both together."""
        return Waits(
            tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)),
            self.sum_s + other.sum_s,
        )


@dataclass(frozen=True)
class Tally:
    """The counts of some committed messages.

    Attributes:
        outcomes: topic → outcome → number of messages.
        record_waits: the times from the record's timestamp to the commit of its message.
        event_waits: the times from the event time in the record to the commit, where it has one.
        newest: topic → outcome → (partition, offset) of a record that is among the newest with it;
            empty if no sink of ours has written the messages.
        bins: the counts by bin of the sampled records; empty where drift is not counted.
    """

    outcomes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    record_waits: Waits = field(default_factory=Waits)
    event_waits: Waits = field(default_factory=Waits)
    newest: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    bins: BinCounts = field(default_factory=dict)

    @property
    def messages(self) -> int:
        """The number of messages."""
        return sum(sum(counts.values()) for counts in self.outcomes.values())

    def add(self, other: Tally) -> Tally:
        """Return both together."""
        outcomes = {topic: Counter(counts) for topic, counts in self.outcomes.items()}
        for topic, counts in other.outcomes.items():
            outcomes.setdefault(topic, Counter()).update(counts)
        newest = {topic: dict(places) for topic, places in self.newest.items()}
        for topic, places in other.newest.items():
            newest.setdefault(topic, {}).update(places)
        return Tally(
            {topic: dict(counts) for topic, counts in outcomes.items()},
            self.record_waits.add(other.record_waits),
            self.event_waits.add(other.event_waits),
            newest,
            add_bins(self.bins, other.bins),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the tally as JSON types, which :meth:`from_json` reads."""
        return {
            "outcomes": {topic: dict(counts) for topic, counts in self.outcomes.items()},
            "record": [list(self.record_waits.counts), self.record_waits.sum_s],
            "event": [list(self.event_waits.counts), self.event_waits.sum_s],
            "newest": {topic: dict(places) for topic, places in self.newest.items()},
            "bins": dict(self.bins),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` returns."""
        record, event = (
            Waits(tuple(counts), sum_s) for counts, sum_s in (value["record"], value["event"])
        )
        newest = {
            topic: {outcome: (place[0], place[1]) for outcome, place in places.items()}
            for topic, places in value["newest"].items()
        }
        return cls(value["outcomes"], record, event, newest, read_bins(value["bins"]))


def count_messages(
    messages: pa.Table | None, counted: Mapping[int, int] | None, now_s: float
) -> Tally | None:
    """Count committed messages, each once however often its batch is written.

    Args:
        messages: the messages of a batch with the columns of
            :data:`lib.messages.columns.COUNTED_SCHEMA`, or of ``BINNED_SCHEMA``; None for none.
        counted: partition → the offset below which the answers of all records are counted already,
            or were written by an earlier run; None if nothing is to be counted.
        now_s: the time of the commit, in seconds since 1970.

    Returns:
        The counts; None if nothing is to be counted.
    """
    if messages is None or counted is None:
        return None
    messages = _drop_counted(messages, counted)
    # Without threads the last row of a group is the last one of the table.
    grouped = messages.group_by(["topic", OUTCOME], use_threads=False).aggregate(
        [([], "count_all"), *((name, "last") for name in SOURCE_POSITION)]
    )
    outcomes: dict[str, dict[str, int]] = {}
    newest: dict[str, dict[str, tuple[int, int]]] = {}
    for row in grouped.to_pylist():
        topic, outcome = row["topic"], row[OUTCOME]
        outcomes.setdefault(topic, {})[outcome] = row["count_all"]
        partition, offset = (row[f"{name}_last"] for name in SOURCE_POSITION)
        newest.setdefault(topic, {})[outcome] = (partition, offset)
    record, event = (
        Waits.measure(messages[name].drop_null().to_numpy(), now_s * 1_000)
        for name in (RECORD_TIME, EVENT_TIME)
    )
    bins = count_bins(messages[BINS]) if BINS in messages.column_names else {}
    return Tally(outcomes, record, event, newest, bins)


def _drop_counted(messages: pa.Table, counted: Mapping[int, int]) -> pa.Table:
    partitions = messages["source_partition"].to_numpy()
    if not len(partitions):
        return messages
    low = np.zeros(int(partitions.max()) + 1, np.int64)
    for partition, offset in counted.items():
        if partition < len(low):
            low[partition] = offset
    is_new = messages["source_offset"].to_numpy() >= low[partitions]
    return messages if is_new.all() else messages.filter(pa.array(is_new))


def add_tallies(tallies: Iterable[Tally | None]) -> Tally | None:
    """Return all tallies together; None if there is none."""
    total: Tally | None = None
    for tally in tallies:
        if tally is not None:
            total = tally if total is None else total.add(tally)
    return total
