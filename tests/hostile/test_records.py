from __future__ import annotations

import random
from collections import Counter

import pytest

from lib.decode.engines.python import decode_value
from tests.hostile.mutations import LARGEST_BYTES, VALUE_MUTATIONS, Mutation
from tests.hostile.records import build_record, find_index, name_record
from tests.support.records import VALID
from tests.support.telco import CUSTOMER


def test_a_record_is_made_from_seed_and_number_alone() -> None:
    assert [build_record(3, number) for number in (7, 8, 7)][0::2] == [build_record(3, 7)] * 2
    assert build_record(3, 7) != build_record(4, 7)


def test_records_are_of_all_sorts() -> None:
    records = [build_record(1, number) for number in range(3_000)]
    verdicts = Counter(decode_value(record.value, CUSTOMER).is_valid for record in records)

    assert verdicts[True] > 300
    assert verdicts[False] > 1_500
    assert sum(len(record.value or b"") for record in records) < 3_000 * 3_000
    assert any(record.key is None for record in records)
    assert any(record.value is None for record in records)
    assert any(len(record.headers) > 5 for record in records)


def test_every_scored_record_can_be_found_again() -> None:
    for number in range(2_000):
        record = build_record(1, number)
        decoded = decode_value(record.value, CUSTOMER)
        if decoded.is_valid:
            found = find_index((record.key or b"").decode("utf-8", "replace"))
            assert number in (found, find_index(decoded.identifier or "")), number
            assert found in (number, None)


def test_a_name_leads_back_to_its_number() -> None:
    assert find_index(name_record(123)) == 123
    assert find_index("7590-VHVEG") is None


@pytest.mark.parametrize("mutation", VALUE_MUTATIONS)
def test_no_mutation_is_larger_than_a_broker_takes_or_undecidable(mutation: Mutation) -> None:
    for seed in range(20):
        value = mutation(dict(VALID), random.Random(seed))

        assert len(value or b"") <= LARGEST_BYTES
        decode_value(value, CUSTOMER)
