"""Headers survive as text on their way from Spark to Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from lib.messages.columns import HEADERS_ARROW, HEADERS_TYPE
from lib.messages.header_text import parse_chosen, parse_header_column, parse_headers

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_null_is_no_header() -> None:
    assert parse_headers(None) == []


def test_a_column_keeps_null_apart_from_none_at_all() -> None:
    texts = pa.chunked_array([['[{"key":"a","value":"AQ=="}]', None], ["[]"]])

    column = parse_header_column(texts)

    assert column.type == HEADERS_ARROW
    assert column.to_pylist() == [[{"key": "a", "value": b"\x01"}], None, []]


def test_a_column_of_nulls_is_one_of_nulls() -> None:
    column = parse_header_column(pa.chunked_array([[None, None]], pa.string()))

    assert column.type == HEADERS_ARROW
    assert column.null_count == 2


def test_headers_are_chosen_by_their_whole_names() -> None:
    texts = [
        None,
        '[{"key":"a","value":"AQ=="},{"key":"b"},{"key":"a","value":""}]',
        "[]",
        '[{"key":"b","value":"AQ=="}]',
        '[{"key":"ab","value":"AQ=="},{"key":"A","value":"AQ=="}]',
        '[{"key":"a.c","value":"/w=="}]',
        '[{"key":"abc","value":"AQ=="}]',
        '[{"key":"\\"ü\\\\","value":"AQ=="}]',
    ]

    assert parse_chosen(pa.array(texts), ("a", "a.c", '"ü\\')) == {
        1: [("a", b"\x01"), ("a", b"")],
        5: [("a.c", b"\xff")],
        7: [('"ü\\', b"\x01")],
    }
    assert parse_chosen(pa.array([None, None], pa.string()), ("a",)) == {}


@pytest.mark.spark
@pytest.mark.parametrize("ignores_nulls", ["true", "false"])
def test_spark_writes_what_is_read_here(spark: SparkSession, ignores_nulls: str) -> None:
    from pyspark.sql import functions as F

    headers = [
        ("trace", b"\x01"),
        ("trace", None),
        ("", b""),
        ('"quoted" \\ \x00\x1f\n\u2028', bytes(range(256))),
        ("naïve-\U0001f600", "naïve".encode() * 1_000),
    ]
    frame = spark.createDataFrame([(headers,), ([],), (None,)], f"headers {HEADERS_TYPE}")

    rows = frame.select(F.to_json("headers", {"ignoreNullFields": ignores_nulls})).collect()

    assert [parse_headers(row[0]) for row in rows] == [headers, [], []]
    texts = pa.array([row[0] for row in rows])
    names = ["", "naïve-\U0001f600"]
    assert parse_chosen(texts, names) == {0: [headers[2], headers[4]]}
    assert [row[0] is None for row in rows] == [False, False, True]
