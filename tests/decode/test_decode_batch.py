"""The batch decoder and the reference give the same verdict and values for every record.

``python -m tests.decode.test_decode_batch 1000000`` runs the test on a million records.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.decode.engines.arrow import Category, DecodedBatch, decode_batch
from lib.decode.engines.python import decode_value
from tests.hostile.mutations import mutate_value
from tests.support.records import ACCEPTED, BROKEN, VALID
from tests.support.telco import CUSTOMER

BATCH = 1_000


def decode(values: Sequence[bytes | None]) -> DecodedBatch:
    return decode_batch(pa.array(values, pa.binary()), CUSTOMER)


def to_objects(column: Any) -> list[Any]:
    objects: list[Any] = (column.to_objects() if isinstance(column, Category) else column).tolist()
    return objects


def assert_agreement(values: Sequence[bytes | None]) -> int:
    """Check that both decoders agree on these values, and return how many are valid."""
    batch = decode(values)
    expected = [decode_value(value, CUSTOMER) for value in values]
    assert batch.valid.tolist() == [decoded.is_valid for decoded in expected]
    assert batch.violations == {
        position: decoded.violations
        for position, decoded in enumerate(expected)
        if not decoded.is_valid
    }
    valid = [decoded for decoded in expected if decoded.is_valid]
    assert batch.identifiers.to_pylist() == [decoded.identifier for decoded in valid]
    assert batch.event_times.to_pylist() == [decoded.event_time for decoded in valid]
    for name in CUSTOMER.feature_names:
        found = to_objects(batch.features[name])
        wanted = [decoded.features[name] for decoded in valid]
        assert found == wanted, name
        # Equality is not enough: 7 equals 7.0, but a model sees another type of column.
        assert set(map(type, found)) <= {_type_of(name)}, name
    return len(valid)


def _type_of(name: str) -> type:
    return {"category": str, "integer": int, "number": float}[CUSTOMER.field(name).kind]


def make_values(count: int, seed: int) -> Iterator[list[bytes | None]]:
    """Yield valid and mutated records in batches; one batch in four has no mutated ones."""
    for start in range(0, count, BATCH):
        batch: list[bytes | None] = []
        for number in range(start, min(start + BATCH, count)):
            chance = random.Random(f"{seed}/{number}")
            if (start // BATCH) % 4 == 0 or chance.random() < 0.3:
                batch.append(json.dumps(vary(chance)).encode())
            else:
                batch.append(mutate_value(VALID, chance))
        yield batch


def vary(chance: random.Random) -> dict[str, Any]:
    """Return a valid customer in one of the forms that producers use."""
    fields = dict(VALID)
    for spec in CUSTOMER.categorical:
        fields[spec.name] = chance.choice(spec.allowed)
    total = round(chance.uniform(0, 8_000), 2)
    fields["TotalCharges"] = chance.choice([total, str(total), f" {total} ", int(total), " ", ""])
    fields["tenure"] = chance.choice([chance.randint(0, 120), float(chance.randint(0, 120))])
    fields["MonthlyCharges"] = chance.choice([chance.uniform(0, 1_000), 0, 1_000, 1e-300])
    for extra in chance.sample(["Churn", "note", "x" * 2_000, "nested"], chance.randint(0, 2)):
        fields[extra] = chance.choice(
            ["Yes", "é\u2028", None, {"a": [1, [2.5e3, True]]}, "9" * 999]
        )
    if chance.random() < 0.1:
        fields["event_ts"] = chance.choice([None, "2026-01-02", "2026-01-02T03:04:05.678Z"])
    names = list(fields)
    chance.shuffle(names)
    return {name: fields[name] for name in names}


def test_on_every_named_case() -> None:
    assert_agreement([value for value, _ in (*BROKEN.values(), *ACCEPTED.values())])


@pytest.mark.parametrize("case", [*BROKEN, *ACCEPTED])
def test_on_each_named_case_alone(case: str) -> None:
    assert_agreement([(BROKEN | ACCEPTED)[case][0]])


@pytest.mark.parametrize("seed", range(4))
def test_on_thousands_of_valid_and_mutated_records(seed: int) -> None:
    valid = [assert_agreement(values) for values in make_values(10_000, seed)]
    assert 2_500 < sum(valid) < 9_000


@given(st.lists(st.one_of(st.none(), st.binary(max_size=200)), max_size=20))
def test_on_any_bytes(values: list[bytes | None]) -> None:
    assert_agreement(values)


@given(st.integers(0, len(json.dumps(VALID))), st.binary(min_size=1, max_size=3))
def test_on_any_bytes_within_a_valid_record(position: int, inserted: bytes) -> None:
    value = json.dumps(VALID).encode()
    replaced = value[:position] + inserted + value[position + len(inserted) :]
    added = value[:position] + inserted + value[position:]
    assert_agreement([replaced, added])


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=5,
)


@given(st.sampled_from([spec.name for spec in CUSTOMER.checked]), JSON)
def test_on_any_json_in_any_field(name: str, value: Any) -> None:
    assert_agreement([json.dumps({**VALID, name: value}).encode()])


@given(st.text(alphabet="0123456789.eE+- \t\u00a0_naif", max_size=12))
def test_on_any_number_as_text(text: str) -> None:
    assert_agreement([json.dumps({**VALID, "TotalCharges": text}).encode()])


@given(st.binary(max_size=30))
def test_on_any_bytes_where_nobody_looks(inner: bytes) -> None:
    head = json.dumps(VALID).encode().removesuffix(b"}")
    assert_agreement([head + b', "other": "' + inner + b'"}', head + b', "other": ' + inner + b"}"])


def test_twice_the_same_field_counts_the_last_time() -> None:
    value = json.dumps(VALID).encode()
    again = value.removesuffix(b"}") + b', "tenure": 3, "tenure": 5}'
    assert to_objects(decode([again]).features["tenure"]) == [5]
    assert_agreement([again, value.removesuffix(b"}") + b', "tenure": "x"}'])


def test_an_empty_batch_has_empty_columns() -> None:
    batch = decode([])
    assert batch.valid.shape == (0,)
    assert [len(to_objects(column)) for column in batch.features.values()] == [0] * 19


def test_categories_are_positions_in_the_contract() -> None:
    column = decode([json.dumps(VALID).encode()]).features["Contract"]
    assert isinstance(column, Category)
    assert column.codes.dtype == np.int64
    assert column.allowed == CUSTOMER.field("Contract").allowed


def compare(count: int, seed: int = 1) -> None:
    """Compare the decoders on any number of records, and print the result."""
    total = valid = 0
    for values in make_values(count, seed):
        total, valid = total + len(values), valid + assert_agreement(values)
    sys.stdout.write(f"{total:,} records, {valid:,} of them valid: both decoders agree on each\n")


if __name__ == "__main__":
    compare(int(sys.argv[1]))
