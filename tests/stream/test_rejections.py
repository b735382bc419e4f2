"""One line of the log says what most records look like if most become dead letters."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from lib.stream.watch.rejections import RejectionWatch
from lib.telemetry.progress import BatchProgress
from tests.support.records import record
from tests.support.telco import CUSTOMER

EVENT: dict[str, Any] = {"sources": []}
PACKED = gzip.compress(record())
TWICE = b'"{\\"tenure\\": 1}"'
GZIP_LINE = (
    "most records become dead letters; their value looks like compressed bytes: let Kafka compress"
    " instead, by compression.type of the producer"
)
TWICE_LINE = (
    "most records become dead letters; their value looks like JSON in a JSON string: the producer"
    " serializes twice; give its serializer the object, not its text"
)


def watch(
    values: Sequence[bytes | None], *batches: tuple[int, int], looks: list[Any] | None = None
) -> RejectionWatch:
    """Note batches of (records, dead letters), in whose place these values are read."""

    def read(event: Mapping[str, Any]) -> Sequence[bytes | None]:
        if looks is not None:
            looks.append(event)
        return values

    watch = RejectionWatch(CUSTOMER, read)
    for number, (records, dead) in enumerate(batches):
        watch.note(EVENT, BatchProgress(number, records, records - dead, dead, 1.0, 1, 0))
        watch.wait()
    return watch


@pytest.mark.parametrize(
    ("values", "batches", "lines"),
    [
        ([PACKED] * 3, [(20, 10)], [GZIP_LINE]),
        ([PACKED] * 3, [(20, 9)], []),
        ([PACKED] * 3, [(19, 19)], []),
        ([PACKED] * 3, [(10, 10), (10, 10)], [GZIP_LINE]),
        ([PACKED] * 3, [(20, 20), (20, 20), (1_000, 999)], [GZIP_LINE]),
        ([PACKED, PACKED, TWICE, record()], [(20, 15)], [GZIP_LINE]),
        ([TWICE, b"hello", TWICE, *[record()] * 9], [(20, 15)], [TWICE_LINE]),
        ([b"hello", b"hello", PACKED], [(20, 20)], []),
        ([record(tenure=-1)], [(20, 20)], []),
        ([None, record()], [(20, 20)], []),
        ([], [(20, 20)], []),
    ],
)
def test_a_framing_of_many_dead_letters_is_told_once(
    values: list[bytes | None],
    batches: list[tuple[int, int]],
    lines: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch(values, *batches)

    assert [it.message for it in caplog.records if it.levelno == logging.WARNING] == lines


def test_records_are_looked_at_only_if_many_are_dead_letters() -> None:
    looks: list[Any] = []

    watch([PACKED], *[(1_000, 499)] * 5, *[(1, 0)] * 30, (20, 20), looks=looks)

    assert looks == [EVENT]
