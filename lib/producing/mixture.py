"""Customers, some of them broken, stamped with the time at which they are sent. Pure Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from fractions import Fraction
from itertools import count
from random import Random
from typing import NamedTuple

from lib.contract import Contract
from lib.producing.customers import Customer
from lib.synth import FAULTS, break_record

# Nearly 1 MB each: in turn with the others, they would make up nine tenths of all bytes.
_BULKY_FAULTS = frozenset({"oversized"})
_BULKY_ROUNDS = 10


class Message(NamedTuple):
    """What is sent.

    Attributes:
        key: the customer's identifier, also of a broken record.
        value: JSON, or what a fault made of it; None for a tombstone.
        fault: what is wrong with it; None for a valid record.
    """

    key: bytes
    value: bytes | None
    fault: str | None


def mix_messages(
    customers: Iterable[Customer],
    contract: Contract,
    *,
    bad_share: float,
    seed: int,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[Message]:
    """Stamp customers, and break a share of them.

    The broken ones are evenly spread: of n messages, ``n * bad_share`` rounded to the nearest.

    Args:
        customers: from :func:`lib.producing.customers.iter_source`.
        contract: names the field for the event time.
        bad_share: in [0, 1].
        seed: decides what the faults leave open.
        clock: the event time, in UTC; asked when a message is taken, which is when it is sent.
    """
    share = Fraction(str(bad_share))
    step, whole = share.numerator, share.denominator
    kinds, random = iter_kinds(), Random(seed)
    stamp_start = f',"{contract.event_time.name}":"'.encode()
    fill = whole // 2  # the first broken one comes in the middle of its stretch
    for customer in customers:
        stamp = stamp_start + _format(clock()) + b'"}'
        value = customer.body[:-1] + stamp
        fill += step
        if fill < whole:
            yield Message(customer.key, value, None)
        else:
            fill -= whole
            kind = next(kinds)
            yield Message(customer.key, break_record(value, random, kind), kind)


def iter_kinds() -> Iterator[str]:
    """All kinds of faults in turn, without end; bulky ones in every tenth round only."""
    for round_number in count():
        for kind in FAULTS:
            if kind not in _BULKY_FAULTS or round_number % _BULKY_ROUNDS == 0:
                yield kind


def _format(moment: datetime) -> bytes:
    """ISO 8601 with milliseconds; ``moment`` is in UTC."""
    return moment.isoformat(timespec="milliseconds")[:-6].encode() + b"Z"
