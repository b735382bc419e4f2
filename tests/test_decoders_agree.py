"""The Spark decoder against the plain-Python reference: the same verdict on every record."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from lib.contract import CUSTOMER
from lib.decode import decode_value
from tests.records import ACCEPTED, BROKEN, VALID

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

RECORDS_TYPE = (
    "source_key binary, source_value binary,"
    " source_headers array<struct<key: string, value: binary>>, source_topic string,"
    " source_partition int, source_offset bigint, source_timestamp timestamp"
)


def decode_in_spark(spark: SparkSession, values: Sequence[bytes | None]) -> list[Row]:
    from lib.decode_spark import decode_records

    rows = [(b"k", value, None, "t", 0, offset, None) for offset, value in enumerate(values)]
    decoded = decode_records(spark.createDataFrame(rows, RECORDS_TYPE), CUSTOMER)
    return decoded.orderBy("source_offset").collect()


def assert_agreement(rows: Sequence[Row], values: Sequence[bytes | None]) -> None:
    assert len(rows) == len(values)
    for row, value in zip(rows, values, strict=True):
        expected = decode_value(value, CUSTOMER)
        found = [(v.field, v.rule, v.expected) for v in row.violations]
        assert found == [(v.field, str(v.rule), v.expected) for v in expected.violations], (
            value and value[:300]
        )
        assert row.source_value == value
        features = {name: row[name] for name in CUSTOMER.feature_names}
        if expected.is_valid:
            assert features == expected.features, value
            assert row.customerID == expected.identifier
            assert row.event_ts == expected.event_time
        else:
            assert features == CUSTOMER.stand_ins


def test_on_every_named_case(spark: SparkSession) -> None:
    values = [value for value, _ in (*BROKEN.values(), *ACCEPTED.values())]

    assert_agreement(decode_in_spark(spark, values), values)


@pytest.mark.parametrize("seed", range(4))
def test_on_thousands_of_mutated_records(spark: SparkSession, seed: int) -> None:
    values = [mutate(random.Random(f"{seed}/{index}")) for index in range(2_500)]

    assert_agreement(decode_in_spark(spark, values), values)


def mutate(chance: random.Random) -> bytes:
    """A record after one to three changes of its fields or its bytes."""
    fields: dict[str, Any] = dict(VALID)
    for _ in range(chance.randint(1, 3)):
        name = chance.choice([field.name for field in CUSTOMER.checked])
        fields[name] = chance.choice(_REPLACEMENTS)(chance, fields.get(name))
    value = json.dumps(fields, ensure_ascii=chance.random() < 0.5).encode()
    if chance.random() < 0.3:
        at = chance.randrange(len(value))
        value = chance.choice(_BYTE_CHANGES)(chance, value, at)
    return value


_REPLACEMENTS = (
    lambda chance, old: None,
    lambda chance, old: old,
    lambda chance, old: str(old),
    lambda chance, old: [old],
    lambda chance, old: {"value": old},
    lambda chance, old: chance.random() < 0.5,
    lambda chance, old: chance.randint(-5, 130),
    lambda chance, old: chance.uniform(-1, 1_500),
    lambda chance, old: chance.choice(["", " ", "No", "Yes", "1", "1.5", "1e3", "-1", "ä", "\t"]),
    lambda chance, old: 10 ** chance.randint(1, 40),
    lambda chance, old: chance.choice([0, 0.0, -0.0, 1.0, 120, 1000.0, 1000.0000001]),
)
_BYTE_CHANGES = (
    lambda chance, value, at: value[:at],
    lambda chance, value, at: value[:at] + bytes([chance.randrange(256)]) + value[at + 1 :],
    lambda chance, value, at: value[:at] + bytes([chance.randrange(256)]) + value[at:],
    lambda chance, value, at: value[:at] + value[at + 1 :],
    lambda chance, value, at: value + value[at:],
    lambda chance, value, at: (
        value[:at] + chance.choice([b"{", b"}", b",", b'"', b"\\"]) + value[at:]
    ),
)
