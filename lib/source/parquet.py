"""Reads Parquet files as a DataFrame of records, for replays and backfills."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # it ships no types
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BinaryType,
    DataType,
    IntegralType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from lib.errors import SourceError, first_line
from lib.messages.columns import HEADERS_TYPE
from lib.record.contract import Contract
from lib.record.place import Place, group_by_member
from lib.source.kafka import as_records
from lib.spark.quoting import quote

# The partition of a record that is in no topic; librdkafka's PARTITION_UA.
NO_PARTITION = -1
# Spark holds a timestamp as microseconds in 64 bits.
_MAX_MILLISECONDS = 2**63 // 1_000 - 1
_POSITION_COLUMNS = ("topic", "partition", "offset")
_KAFKA_COLUMNS = frozenset({*_POSITION_COLUMNS, "key", "value", "headers", "timestamp"})


def read_parquet(spark: SparkSession, paths: Sequence[str], contract: Contract) -> DataFrame:
    """Read Parquet files as records, one for each row.

    Two kinds of files are understood:

    - dumps of a topic, with a column ``value`` (binary or string) and, if they have them, the
      other columns of Spark's Kafka source: key, headers, topic, partition, offset, timestamp,
      which may be an integer of milliseconds too. A file that has half of the contract's columns
      or more is a table, whatever it has besides;
    - tables of records, with the contract's columns (in any case) and any others; each is named
      like its field, wherever that is in the JSON object. Each row becomes the JSON object that a
      producer would have sent, so that the same plan checks and scores it: a null is a missing
      field, a number of any type is a JSON number, a timestamp is ISO 8601, in UTC if it has no
      time zone, and bytes are text in UTF-8. The identifier is the key. Dead letters carry this
      JSON as their original bytes; behind it stand the bytes of a field that are no UTF-8.

    If the files do not hold topic, partition and offset, a record's position is its file, partition
    -1 and the number of the row in the file.

    Guarantee: every row of every file is read once. Assumes: nobody changes the files meanwhile. On
    failure: a file that cannot be read fails the job. Runs in the executors.

    Args:
        spark: the Spark session.
        paths: files, folders or globs, of one kind and one schema.
        contract: the contract, which names the columns of a table.

    Returns:
        The columns of ``lib.messages.columns.SOURCE_COLUMNS``.

    Raises:
        SourceError: there are no such files, or their columns are of neither kind.
    """
    frame = _open(spark, paths)
    names = {name.lower(): name for name in frame.columns}
    if _is_dump(frame, names, contract):
        frame = _reopen(frame, names, paths)
        _check_type(frame, names["value"], "value", (BinaryType, StringType))
        value, key = F.col(names["value"]), _key_expr(frame, names)
    else:
        value = _json_expr(frame, names, contract)
        key = F.col(quote(names[contract.identifier.name.lower()])).cast("string")
    return as_records(
        frame.select(
            key.cast("binary").alias("key"),
            value.cast("binary").alias("value"),
            _optional_expr(names, "headers", HEADERS_TYPE),
            *_position_exprs(names),
            _timestamp_expr(frame, names).alias("timestamp"),
        )
    )


def _is_dump(frame: DataFrame, names: dict[str, str], contract: Contract) -> bool:
    """Tell whether the files are dumps of a topic; the contract may have a field ``value`` too."""
    required = [spec.name.lower() for spec in contract.checked if not spec.nullable]
    found = [name for name in required if name in names and name not in _KAFKA_COLUMNS]
    return "value" in names and 2 * len(found) < len(required)


def _open(spark: SparkSession, paths: Sequence[str]) -> DataFrame:
    try:
        frame = spark.read.parquet(*paths)
    except AnalysisException as error:
        reason = {
            "PATH_NOT_FOUND": "no such file or folder",
            "UNABLE_TO_INFER_SCHEMA": "no Parquet files there",
        }.get(error.getCondition() or "", first_line(str(error)))
        raise SourceError(f"--input {' '.join(paths)}: {reason}") from error
    except Py4JJavaError as error:  # an error without a Python class, such as a broken footer
        reason = first_line(error.java_exception.getMessage())
        raise SourceError(f"--input {' '.join(paths)}: {reason}") from error
    if len({name.lower() for name in frame.columns}) < len(frame.columns):
        raise SourceError(f"--input {' '.join(paths)}: columns that differ in case only")
    return frame


def _reopen(frame: DataFrame, names: dict[str, str], paths: Sequence[str]) -> DataFrame:
    """Read a dump's timestamps as integers if its files hold milliseconds.

    Spark makes microseconds of them, and ends at one that exceeds 64 bits then.
    """
    name = names.get("timestamp")
    kinds_of_time = (TimestampType, TimestampNTZType)
    if name is None or not isinstance(frame.schema[name].dataType, kinds_of_time):
        return frame
    if "MILLIS" not in _find_annotation(frame, name):
        return frame
    kinds = [(it.name, LongType() if it.name == name else it.dataType) for it in frame.schema]
    schema = StructType([StructField(column, kind) for column, kind in kinds])
    return frame.sparkSession.read.schema(schema).parquet(*paths)


def _find_annotation(frame: DataFrame, name: str) -> str:
    """Find the logical type of a column in the first of the files, in Parquet's words."""
    # Py4J has no types; these are classes of Hadoop and Parquet.
    jvm: Any = frame.sparkSession._jvm
    configuration = frame.sparkSession.sparkContext._jsc.hadoopConfiguration()
    path = jvm.org.apache.hadoop.fs.Path(jvm.java.net.URI(frame.inputFiles()[0]))
    file = jvm.org.apache.parquet.hadoop.util.HadoopInputFile.fromPath(path, configuration)
    reader = jvm.org.apache.parquet.hadoop.ParquetFileReader.open(file)
    try:
        schema = reader.getFooter().getFileMetaData().getSchema()
        return str(schema.getFields().get(schema.getFieldIndex(name)).toString())
    finally:
        reader.close()


def _key_expr(frame: DataFrame, names: dict[str, str]) -> Column:
    if "key" not in names:
        return F.lit(None)
    _check_type(frame, names["key"], "key", (BinaryType, StringType))
    return F.col(names["key"])


def _optional_expr(names: dict[str, str], name: str, type_name: str) -> Column:
    column = F.col(names[name]) if name in names else F.lit(None)
    return column.cast(type_name).alias(name)


def _timestamp_expr(frame: DataFrame, names: dict[str, str]) -> Column:
    """Build a timestamp: the dump's; null for one that Spark cannot hold or read.

    Integers are milliseconds, like those of Kafka.
    """
    if "timestamp" not in names:
        return F.lit(None).cast("timestamp")
    column = F.col(names["timestamp"])
    if isinstance(frame.schema[names["timestamp"]].dataType, IntegralType):
        is_held = column.between(-_MAX_MILLISECONDS, _MAX_MILLISECONDS)
        return F.when(is_held, F.timestamp_millis(column))
    return column.try_cast("timestamp")


def _position_exprs(names: dict[str, str]) -> list[Column]:
    """Build topic, partition and offset: those of the dump, or else a place in a file."""
    if all(name in names for name in _POSITION_COLUMNS):
        topic, partition, offset = (F.col(names[name]) for name in _POSITION_COLUMNS)
    else:
        topic, offset = F.col("_metadata.file_path"), F.col("_metadata.row_index")
        partition = F.lit(NO_PARTITION)
    return [
        topic.cast("string").alias("topic"),
        partition.cast("int").alias("partition"),
        offset.cast("bigint").alias("offset"),
    ]


def _json_expr(frame: DataFrame, names: dict[str, str], contract: Contract) -> Column:
    """Build a string: the record as a producer would have sent it."""
    required = [spec.name for spec in contract.checked if not spec.nullable]
    missing = [name for name in required if name.lower() not in names]
    if missing:
        found = ", ".join(frame.columns[:30])
        raise SourceError(
            f"--input is no dump of a topic, and of the columns of {contract.name} it lacks"
            f" {', '.join(missing)}; found {found}"
        )
    present = [spec for spec in contract.checked if spec.name.lower() in names]
    values = [(_field_expr(frame, names[it.name.lower()]), it.place) for it in present]
    json = F.to_json(_object_expr(values)).cast("binary")
    # Spark would put another character in place of bytes that are no UTF-8.
    texts = [
        F.col(quote(name))
        for name in (names[spec.name.lower()] for spec in present)
        if isinstance(frame.schema[name].dataType, BinaryType | StringType)
    ]
    strange = (F.when(~F.is_valid_utf8(text.cast("string")), text.cast("binary")) for text in texts)
    return F.concat(json, F.coalesce(*strange, F.lit(b"")))


def _object_expr(values: Sequence[tuple[Column, Place]]) -> Column:
    """Build a struct of values at their places, nested ones in structs of their own."""
    members = {
        name: _object_expr(inner) if inner[0][1] else inner[0][0]
        for name, inner in group_by_member(values).items()
    }
    return F.struct(*(value.alias(name) for name, value in members.items()))


def _field_expr(frame: DataFrame, name: str) -> Column:
    found = frame.schema[name].dataType
    if isinstance(found, BinaryType):
        return F.col(quote(name)).cast("string")
    if not isinstance(found, TimestampType | TimestampNTZType):
        return F.col(quote(name))
    utc = F.col(quote(name))
    if isinstance(found, TimestampType):
        utc = F.to_utc_timestamp(utc, F.current_timezone())
    # The text of a timestamp has as many decimals as it needs.
    return F.concat(F.replace(utc.cast("string"), F.lit(" "), F.lit("T")), F.lit("Z"))


def _check_type(
    frame: DataFrame, name: str, what: str, expected: tuple[type[DataType], ...]
) -> None:
    found = frame.schema[name].dataType
    if not isinstance(found, expected):
        raise SourceError(
            f"--input: column {what} is {found.simpleString()}, expected binary or string"
        )
