"""Records may be as deep as Spark's JSON parser goes; it recurses on the JVM's stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lib.decode.engines.spark import decode_records
from lib.messages.columns import HEADERS_TYPE
from tests.support.telco import CUSTOMER

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Jackson refuses more than 1,000 levels.
DEPTHS = (300, 500, 800, 950, 990, 999, 1_000, 1_001)


def nest(depth: int) -> list[bytes]:
    """Return arrays and objects of a depth, alone and within a field."""
    inner = depth - 2
    return [
        b"[" * depth + b"]" * depth,
        b'{"a":' * depth + b"1" + b"}" * depth,
        b'{"customerID":' + b"[" * inner + b"]" * inner + b"}",
        b'{"tenure":' + b'{"a":[' * (inner // 2) + b"]}" * (inner // 2) + b"}",
    ]


@pytest.mark.spark
def test_the_jvm_survives_what_is_as_deep_as_its_parser_goes(spark: SparkSession) -> None:
    from pyspark.sql import functions as F

    values = [value for depth in DEPTHS for value in nest(depth)]
    rows = spark.createDataFrame([(bytearray(value),) for value in values], "source_value binary")
    records = rows.select(
        F.lit(None).cast("binary").alias("source_key"),
        "source_value",
        F.lit(None).cast(HEADERS_TYPE).alias("source_headers"),
        F.lit("customers").alias("source_topic"),
        F.lit(0).alias("source_partition"),
        F.lit(0).cast("bigint").alias("source_offset"),
        F.current_timestamp().alias("source_timestamp"),
    )

    found = decode_records(records, CUSTOMER).select("violations").collect()

    assert len(found) == len(values)
    assert all(row["violations"] for row in found)
