"""Both decoders of frames give the same verdict as the plain-Python reference on every record."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from lib.decode.engines.python import decode_value
from lib.messages.columns import SOURCE_COLUMNS
from tests.hostile.mutations import mutate_value
from tests.support.records import ACCEPTED, BROKEN, VALID, record
from tests.support.telco import CUSTOMER

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

RECORDS_TYPE = (
    "source_key binary, source_value binary,"
    " source_headers array<struct<key: string, value: binary>>, source_topic string,"
    " source_partition int, source_offset bigint, source_timestamp timestamp"
)


Decode = Callable[[Sequence[bytes | None]], "list[Row]"]


@pytest.fixture(params=["spark", "workers"])
def decode(spark: SparkSession, request: pytest.FixtureRequest) -> Decode:
    from lib.decode.engines.spark import decode_records
    from lib.decode.engines.workers import decode_in_workers

    function = decode_records if request.param == "spark" else decode_in_workers

    def decode_values(values: Sequence[bytes | None]) -> list[Row]:
        rows = [(b"k", value, None, "t", 0, offset, None) for offset, value in enumerate(values)]
        decoded = function(spark.createDataFrame(rows, RECORDS_TYPE), CUSTOMER)
        return decoded.orderBy("source_offset").collect()

    return decode_values


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


def test_on_every_named_case(decode: Decode) -> None:
    values = [value for value, _ in (*BROKEN.values(), *ACCEPTED.values())]

    assert_agreement(decode(values), values)


@pytest.mark.parametrize("seed", range(4))
def test_on_thousands_of_mutated_records(decode: Decode, seed: int) -> None:
    values = [mutate_value(VALID, random.Random(f"{seed}/{index}")) for index in range(2_500)]

    assert_agreement(decode(values), values)


def test_both_give_the_same_columns_and_pass_on_what_they_got(spark: SparkSession) -> None:
    from lib.decode.engines.spark import decode_records
    from lib.decode.engines.workers import decode_in_workers

    headers = [("a", b"\x00\xff"), ("a", None), ("", b"")]
    time = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    rows = [
        (b"k", record(), headers, "t", 3, 1 << 40, time),
        (None, b"{", [], "t", 0, 2, None),
        (b"", None, None, "t", 1, 3, None),
    ]
    records = spark.createDataFrame(rows, RECORDS_TYPE)

    by_spark, by_workers = (
        function(records, CUSTOMER) for function in (decode_records, decode_in_workers)
    )

    assert by_workers.dtypes == by_spark.dtypes
    assert by_workers.select(*SOURCE_COLUMNS).collect() == records.collect()


def test_a_frame_without_rows_stays_one(spark: SparkSession) -> None:
    from lib.decode.engines.workers import decode_in_workers

    assert decode_in_workers(spark.createDataFrame([], RECORDS_TYPE), CUSTOMER).collect() == []
