"""Says what most dead letters break, without the contents of any record. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from lib.messages.dead_letter import DeadLetter, ErrorType
from lib.messages.tally import NO_PROBABILITY

_SHOWN = 3


@dataclass(frozen=True)
class Broken:
    """The first rule that one record breaks.

    Attributes:
        rule: the rule, or ``no_probability`` where the model failed.
        field: the field; empty where the whole record is meant.
        place: the position of the record, as ``TOPIC-PARTITION@OFFSET``.
    """

    rule: str
    field: str
    place: str


def name_place(topic: str, partition: int, offset: int) -> str:
    """Name the position of a record."""
    return f"{topic}-{partition}@{offset}"


def read_broken(letters: pa.Table, input_topic: str) -> list[Broken]:
    """Read what the records of dead letters break.

    Args:
        letters: dead letters that are about to be written, with their columns ``value``,
            ``headers``, ``source_partition`` and ``source_offset``.
        input_topic: the topic of the records.
    """
    names = ("value", "headers", "source_partition", "source_offset")
    found = []
    for row in letters.select(list(names)).to_pylist():
        headers = [(it["key"], it["value"]) for it in row["headers"] or ()]
        letter = DeadLetter.from_message(None, row["value"], headers)
        place = name_place(input_topic, row["source_partition"], row["source_offset"])
        if letter.error_type is ErrorType.INFERENCE or not letter.violations:
            found.append(Broken(NO_PROBABILITY, "", place))
        else:
            first = letter.violations[0]
            found.append(Broken(str(first.rule), first.field, place))
    return found


def describe_broken(broken: Iterable[Broken]) -> str:
    """Name the rules and fields that were broken most, each with the first record that did.

    Returns:
        A phrase such as ``"300 not_allowed of Contract (in-0@7), 2 not_json (in-1@3)"``; empty for
        no records.
    """
    counts: Counter[tuple[str, str]] = Counter()
    places: dict[tuple[str, str], str] = {}
    for it in broken:
        counts[it.rule, it.field] += 1
        places.setdefault((it.rule, it.field), it.place)
    return ", ".join(
        f"{count:,} {rule}{f' of {name}' if name else ''} ({places[rule, name]})"
        for (rule, name), count in counts.most_common(_SHOWN)
    )
