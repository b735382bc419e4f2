"""Stamps records with the time at which they are sent, and breaks some of them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from fractions import Fraction
from itertools import count
from random import Random
from typing import NamedTuple

from lib.record.contract import Contract
from lib.synth import break_record, encode_record, list_faults
from lib.tools.produce.records import KeyedRecord

# Faults of nearly 1 MB: as often as the others, they would make up nine tenths of all bytes.
_BULKY_FAULTS = frozenset({"oversized"})
_BULKY_ROUNDS = 10


class Message(NamedTuple):
    """A message to be sent.

    Attributes:
        key: the record's identifier, whether it is broken or not.
        value: the JSON text, or what a fault has made of it; None for a tombstone.
        fault: the kind of fault; None for a valid record.
    """

    key: bytes
    value: bytes | None
    fault: str | None


def mix_messages(
    records: Iterable[KeyedRecord],
    contract: Contract,
    *,
    bad_share: float,
    seed: int,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[Message]:
    """Stamp records that have no event time of their own, and break a share of them.

    Broken messages are evenly spread: among n messages there are ``n * bad_share``, rounded.

    Args:
        records: the records from :func:`lib.tools.produce.records.iter_source`.
        contract: the contract, which names the field for the event time.
        bad_share: the share of broken messages in [0, 1].
        seed: the seed for the choices within faults.
        clock: a function that returns the event time in UTC when a message is taken to be sent.
    """
    share = Fraction(str(bad_share))
    step, whole = share.numerator, share.denominator
    kinds, random = iter_kinds(contract), Random(seed)
    stamp = _build_stamp(contract)
    fill = whole // 2  # the first broken message comes in the middle of its stretch
    for record in records:
        value = record.body if record.keeps_time else stamp(record.body, _format(clock()))
        fill += step
        if fill < whole:
            yield Message(record.key, value, None)
        else:
            fill -= whole
            kind = next(kinds)
            yield Message(record.key, break_record(value, random, contract, kind), kind)


def iter_kinds(contract: Contract) -> Iterator[str]:
    """Yield all kinds of faults that records of the contract can have, in turn, without end.

    Faults that make large messages come in every tenth round only.
    """
    kinds = list_faults(contract)
    for round_number in count():
        for kind in kinds:
            if kind not in _BULKY_FAULTS or round_number % _BULKY_ROUNDS == 0:
                yield kind


def _build_stamp(contract: Contract) -> Callable[[bytes, str], bytes]:
    """Build the function that adds the event time to a record, if the contract has one."""
    field = contract.event_time
    if field is None:
        return lambda body, now: body
    if len(field.place) == 1:  # parsing each record would be slow
        start = f',"{field.place[0]}":"'
        return lambda body, now: body[:-1] + f'{start}{now}"}}'.encode()
    return lambda body, now: encode_record(json.loads(body), contract, event_time=now)


def _format(moment: datetime) -> str:
    """Format a time in UTC as ISO 8601 with milliseconds."""
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"
