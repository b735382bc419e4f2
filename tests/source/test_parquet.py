"""Parquet dumps and tables are read as records."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.decode.engines.python import decode_value
from lib.errors import SourceError
from lib.messages.columns import SOURCE_COLUMNS
from lib.source.parquet import read_parquet
from tests.support.records import VALID
from tests.support.telco import CUSTOMER

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession


def write(path: Path, columns: dict[str, Any]) -> str:
    pq.write_table(pa.table(columns), path)
    return str(path)


def write_table(path: Path, *rows: dict[str, Any], **types: pa.DataType) -> str:
    """Write a table of customers; ``types`` overrides the types that Arrow infers."""
    names = list(rows[0])
    return write(path, {n: pa.array([row[n] for row in rows], types.get(n)) for n in names})


def read(spark: SparkSession, *paths: str) -> list[Row]:
    frame = read_parquet(spark, paths, CUSTOMER)
    assert frame.columns == list(SOURCE_COLUMNS)
    return frame.orderBy("source_offset").collect()


def test_a_dump_keeps_every_byte_and_position(spark: SparkSession, tmp_path: Path) -> None:
    headers = [[{"key": "trace", "value": b"\x01"}], None]
    header_type = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
    moment = datetime(2024, 5, 1, 12, tzinfo=UTC)
    path = write(
        tmp_path / "dump.parquet",
        {
            "key": pa.array([b"\xff\x00", None]),
            "value": pa.array([b"\xfe not JSON", None], pa.binary()),
            "headers": pa.array(headers, header_type),
            "topic": ["customers", "customers"],
            "partition": pa.array([3, 3], pa.int32()),
            "offset": [17, 19],
            "timestamp": pa.array([moment, moment], pa.timestamp("us", "UTC")),
            "timestampType": [0, 0],
        },
    )
    first, second = read(spark, path)
    assert bytes(first.source_key) == b"\xff\x00"
    assert bytes(first.source_value) == b"\xfe not JSON"
    assert [(h.key, bytes(h.value)) for h in first.source_headers] == [("trace", b"\x01")]
    assert (first.source_topic, first.source_partition, first.source_offset) == ("customers", 3, 17)
    assert first.source_timestamp.astimezone(UTC) == moment
    assert (second.source_key, second.source_value, second.source_headers) == (None, None, None)
    assert second.source_offset == 19


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (
            pa.array([1_767_323_045_678, 1_767_323_045_678_901_234, -(2**63), None], pa.int64()),
            [datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC), None, None, None],
        ),
        (
            pa.array(
                [1_767_323_045_678, 1_767_323_045_678_901_234, -(2**63), None],
                pa.timestamp("ms", "UTC"),
            ),
            [datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC), None, None, None],
        ),
        (
            pa.array(["2026-01-02T03:04:05.678Z", "yesterday", "", None]),
            [datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC), None, None, None],
        ),
    ],
    ids=["integers", "milliseconds", "text"],
)
def test_a_timestamp_of_a_dump_that_is_no_time_is_null(
    spark: SparkSession, tmp_path: Path, times: Any, expected: list[datetime | None]
) -> None:
    path = write(tmp_path / "dump.parquet", {"value": ["{}"] * 4, "timestamp": times})

    rows = read(spark, path)

    found = [row.source_timestamp for row in rows]
    assert [it and it.astimezone(UTC) for it in found] == expected


def test_values_alone_are_a_dump_whose_positions_are_rows_of_the_file(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = write(tmp_path / "values.parquet", {"value": ["{}", "[]", "é"]})
    rows = read(spark, path)
    assert [bytes(row.source_value) for row in rows] == [b"{}", b"[]", "é".encode()]
    assert [row.source_offset for row in rows] == [0, 1, 2]
    assert {row.source_partition for row in rows} == {-1}
    assert {row.source_topic for row in rows} == {f"file:{path}"}
    assert {(row.source_key, row.source_headers, row.source_timestamp) for row in rows} == {
        (None, None, None)
    }


def test_a_customer_of_a_table_becomes_a_valid_value_with_its_identifier_as_key(
    spark: SparkSession, tmp_path: Path
) -> None:
    customer = VALID | {"tenure": 12, "MonthlyCharges": 29.85, "Churn": "No", "region": "north"}
    (row,) = read(spark, write_table(tmp_path / "table.parquet", customer))
    assert bytes(row.source_key) == b"7590-VHVEG"
    decoded = decode_value(bytes(row.source_value), CUSTOMER)
    assert decoded.is_valid
    assert decoded.features == {name: customer[name] for name in CUSTOMER.feature_names}
    assert "region" not in json.loads(bytes(row.source_value))


@pytest.mark.parametrize(
    ("number", "arrow_type", "expected"),
    [
        (29.85, pa.float32(), 29.85),
        (Decimal("29.85"), pa.decimal128(10, 2), 29.85),
        (29, pa.int16(), 29),
        (29, pa.int64(), 29),
        (0.00001, pa.float64(), 0.00001),
    ],
)
def test_a_number_of_any_type_keeps_its_decimal_value(
    spark: SparkSession, tmp_path: Path, number: Any, arrow_type: pa.DataType, expected: float
) -> None:
    path = write_table(
        tmp_path / "table.parquet", VALID | {"MonthlyCharges": number}, MonthlyCharges=arrow_type
    )
    (row,) = read(spark, path)
    decoded = decode_value(bytes(row.source_value), CUSTOMER)
    assert decoded.features["MonthlyCharges"] == expected


@pytest.mark.parametrize(("text", "expected"), [(" ", 0.0), ("600.5", 600.5)])
def test_a_number_that_the_contract_takes_as_text_may_be_text(
    spark: SparkSession, tmp_path: Path, text: str, expected: float
) -> None:
    (row,) = read(spark, write_table(tmp_path / "t.parquet", VALID | {"TotalCharges": text}))
    assert decode_value(bytes(row.source_value), CUSTOMER).features["TotalCharges"] == expected


def test_nulls_are_missing_fields_and_nan_is_no_number(spark: SparkSession, tmp_path: Path) -> None:
    path = write_table(
        tmp_path / "table.parquet",
        VALID | {"gender": None, "MonthlyCharges": float("nan")},
        gender=pa.string(),
    )
    (row,) = read(spark, path)
    assert "gender" not in json.loads(bytes(row.source_value))
    broken = [(v.field, v.rule) for v in decode_value(bytes(row.source_value), CUSTOMER).violations]
    assert broken == [("gender", "missing"), ("MonthlyCharges", "wrong_type")]


@pytest.mark.parametrize(
    ("moment", "arrow_type", "expected"),
    [
        (
            datetime(2024, 5, 1, 12, 30, tzinfo=UTC),
            pa.timestamp("us", "UTC"),
            "2024-05-01T12:30:00Z",
        ),
        (
            datetime(2024, 5, 1, 12, 30, 0, 123456, tzinfo=UTC),
            pa.timestamp("us", "UTC"),
            "2024-05-01T12:30:00.123456Z",
        ),
        (datetime(2024, 5, 1, 12, 30), pa.timestamp("ms"), "2024-05-01T12:30:00Z"),  # noqa: DTZ001
        (datetime(2024, 5, 1, 12, 30), pa.timestamp("us"), "2024-05-01T12:30:00Z"),  # noqa: DTZ001
        (date(2024, 5, 1), pa.date32(), "2024-05-01"),
        ("2024-05-01T12:30:00+02:00", pa.string(), "2024-05-01T12:30:00+02:00"),
    ],
)
def test_an_event_time_of_any_type_becomes_iso_8601(
    spark: SparkSession, tmp_path: Path, moment: Any, arrow_type: pa.DataType, expected: str
) -> None:
    path = write_table(
        tmp_path / "table.parquet", VALID | {"event_ts": moment}, event_ts=arrow_type
    )
    (row,) = read(spark, path)
    decoded = decode_value(bytes(row.source_value), CUSTOMER)
    assert decoded.is_valid
    assert decoded.event_time == expected


def test_bytes_are_text_and_named_where_they_are_no_utf_8(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = write_table(
        tmp_path / "table.parquet",
        VALID | {"gender": b"Female", "customerID": b"7590-VHVEG"},
        VALID | {"gender": "Männlich".encode("latin-1"), "customerID": b"7590-VHVEG"},
        VALID | {"gender": "Männlich".encode(), "customerID": b"7590-VHVEG"},
        VALID | {"gender": None, "customerID": b"7590-VHVEG"},
    )
    good, latin, german, missing = read(spark, path)

    assert bytes(good.source_key) == b"7590-VHVEG"
    assert json.loads(bytes(good.source_value))["gender"] == "Female"
    assert decode_value(bytes(good.source_value), CUSTOMER).is_valid
    assert bytes(latin.source_value).endswith(b"}M\xe4nnlich")
    broken = [decode_value(bytes(it.source_value), CUSTOMER) for it in (latin, german, missing)]
    assert [[(v.field, str(v.rule)) for v in it.violations] for it in broken] == [
        [("", "not_utf8")],
        [("gender", "not_allowed")],
        [("gender", "missing")],
    ]


@pytest.mark.parametrize("more", [{"value": 12.5}, {"value": "gold"}, {"Value": b"x", "key": "k"}])
def test_a_table_with_a_column_value_is_no_dump(
    spark: SparkSession, tmp_path: Path, more: dict[str, Any]
) -> None:
    (row,) = read(spark, write_table(tmp_path / "table.parquet", VALID | more))
    assert decode_value(bytes(row.source_value), CUSTOMER).is_valid

    lacking = {name: value for name, value in (VALID | more).items() if name != "tenure"}
    with pytest.raises(SourceError, match=r"no dump of a topic, and .* it lacks tenure; found"):
        read(spark, write_table(tmp_path / "lacking.parquet", lacking))


def test_a_dump_with_some_of_the_contracts_columns_beside_its_values_is_a_dump(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = write(tmp_path / "dump.parquet", {"value": ["{}"], "customerID": ["a"], "tenure": [1]})
    assert [bytes(row.source_value) for row in read(spark, path)] == [b"{}"]


def test_columns_may_be_in_any_case(spark: SparkSession, tmp_path: Path) -> None:
    lower = {name.lower(): value for name, value in VALID.items()}
    (row,) = read(spark, write_table(tmp_path / "table.parquet", lower))
    assert decode_value(bytes(row.source_value), CUSTOMER).is_valid


def test_several_files_folders_and_globs_are_read_as_one(
    spark: SparkSession, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    for number, name in enumerate(["a", "b1", "b2", "folder/c"]):
        write(tmp_path / f"{name}.parquet", {"value": [str(number)]})
    rows = read(spark, *(str(tmp_path / name) for name in ("a.parquet", "b*.parquet", "folder")))
    assert sorted(bytes(row.source_value) for row in rows) == [b"0", b"1", b"2", b"3"]


def test_missing_columns_are_all_listed(spark: SparkSession, tmp_path: Path) -> None:
    columns = {name: [value] for name, value in VALID.items()}
    del columns["tenure"], columns["customerID"]
    path = write(tmp_path / "table.parquet", columns)
    with pytest.raises(SourceError, match=r"lacks customerID, tenure; found gender, SeniorCitizen"):
        read(spark, path)


def test_a_value_that_is_neither_text_nor_bytes_is_refused(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = write(tmp_path / "numbers.parquet", {"value": [1.5]})
    with pytest.raises(SourceError, match="column value is double, expected binary or string"):
        read(spark, path)


def test_input_that_is_not_there_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere: no such file or folder"):
        read(spark, str(tmp_path / "nowhere"))


def test_a_folder_without_parquet_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no Parquet files there"):
        read(spark, str(tmp_path))


def test_a_file_that_is_no_parquet_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "customers.parquet").write_text("customerID,gender\n")
    with pytest.raises(SourceError, match=r"customers.parquet: .*Could not read footer"):
        read(spark, str(tmp_path / "customers.parquet"))
