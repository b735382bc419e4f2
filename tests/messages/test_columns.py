"""Messages have one schema, which is stated for Arrow and for Spark."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from lib.messages.columns import MESSAGE_SCHEMA, MESSAGE_TYPES


def test_spark_and_arrow_name_the_same_types(spark: SparkSession) -> None:
    assert spark.createDataFrame([], MESSAGE_TYPES).schema == from_arrow_schema(MESSAGE_SCHEMA)
