"""Make customers that carry a number, so that a few bytes account for each answer.

A record is a function of its number and its key, so nothing that was sent has to be stored. The
number is in the event time, which predictions copy. A broken record may have lost everything but
its Kafka key, so its number is in the key.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from random import Random

from lib.synth import break_record, encode_record, iter_records
from lib.synth.telco import make_customers
from lib.tools.produce.mixture import iter_kinds
from tests.support.telco import CUSTOMER

# One record in this many is broken: 2 %. Broken records take the kinds of fault in turn, so every
# kind comes.
BROKEN_PERIOD = 50


_KINDS_IN_A_CYCLE = 121  # ten rounds of twelve kinds and a bulky one
_KINDS = tuple(islice(iter_kinds(CUSTOMER), _KINDS_IN_A_CYCLE))
# The second round has no kind that makes a record bulky: a flood takes these.
_FLOOD = _KINDS[13:25]
_EVENT_TIME = re.compile(rb"2026-01-01T00:00:00\.(\d{9})Z")
_BROKEN_KEY = re.compile(rb"broken-(\d{9})")
_VALID_KEY = re.compile(rb"C(\d{6})")


@dataclass(frozen=True)
class NumberedRecords:
    """A maker of records from their numbers.

    Attributes:
        pool_size: number of different customers; keys repeat their features in turn.
        seed: seed for drawing the customers.
    """

    pool_size: int = 500
    seed: int = 1

    @cached_property
    def features(self) -> Sequence[dict[str, object]]:
        """Features of the customers, by place in the pool."""
        records = iter_records(make_customers(self.pool_size, self.seed), CUSTOMER)
        identifier = CUSTOMER.identifier.name
        return [{k: v for k, v in record.items() if k != identifier} for record in records]

    @cached_property
    def _bodies(self) -> Sequence[bytes]:
        return [encode_record(record, CUSTOMER)[1:-1] for record in self.features]

    def valid(self, number: int, key: int) -> tuple[bytes, bytes]:
        """Return (key, value) of a record that ends as a prediction."""
        name = b"C%06d" % key
        value = b'{"customerID":"%s",%s,"event_ts":"2026-01-01T00:00:00.%09dZ"}' % (
            name,
            self._bodies[key % self.pool_size],
            number,
        )
        return name, value

    def broken(self, number: int) -> tuple[bytes, bytes | None]:
        """Return (key, value) of a record that ends as a dead letter; all kinds come in turn."""
        _, value = self.valid(number, number % self.pool_size)
        kind = _FLOOD[number % len(_FLOOD)]
        if is_broken(number):
            kind = _KINDS[number // BROKEN_PERIOD % len(_KINDS)]
        return b"broken-%09d" % number, break_record(value, Random(number), CUSTOMER, kind)


def is_broken(number: int) -> bool:
    """Tell whether the record with that number has to be a broken one."""
    return number % BROKEN_PERIOD == BROKEN_PERIOD // 2


def read_event_time(text: bytes) -> int | None:
    """Return the number in an event time, or in a whole value; None where there is none."""
    found = _EVENT_TIME.search(text)
    return None if found is None else int(found[1])


def read_valid_key(key: bytes) -> int | None:
    """Return the number in the key of a valid record; None if it is another kind of key."""
    found = _VALID_KEY.fullmatch(key)
    return None if found is None else int(found[1])


def read_broken_key(key: bytes) -> int | None:
    """Return the number in the key of a broken record; None if it is another kind of key."""
    found = _BROKEN_KEY.fullmatch(key)
    return None if found is None else int(found[1])
