"""The Spark decoder against the plain-Python reference: the same verdict on every record."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from lib.codec.decode import decode_value
from lib.contract import CUSTOMER
from tests.hostile.mutations import mutate_value
from tests.records import ACCEPTED, BROKEN, VALID

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

RECORDS_TYPE = (
    "source_key binary, source_value binary,"
    " source_headers array<struct<key: string, value: binary>>, source_topic string,"
    " source_partition int, source_offset bigint, source_timestamp timestamp"
)


def decode_in_spark(spark: SparkSession, values: Sequence[bytes | None]) -> list[Row]:
    from lib.codec.decode_spark import decode_records

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
    values = [mutate_value(VALID, random.Random(f"{seed}/{index}")) for index in range(2_500)]

    assert_agreement(decode_in_spark(spark, values), values)
