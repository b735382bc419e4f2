"""The contract's checks in Python workers, for models that Spark's JVM evaluates.

The rows of ``decode_spark.py``, by the parser of ``decode_batch.py``: it takes about half of
the processor time, Arrow there and back included. It costs a Python worker for each task.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lib.codec.decode import Violation
from lib.codec.decode_batch import Category, Column, DecodedBatch, decode_batch
from lib.codec.decode_spark import SOURCE_COLUMNS, SOURCE_TYPES
from lib.codec.explain_spark import VIOLATION_TYPE
from lib.contract import Contract, Field, Kind
from lib.sinks.header_text import parse_header_column
from lib.spark.worker_batches import map_batches

_ARROW_TYPES = {Kind.INTEGER: pa.int64(), Kind.NUMBER: pa.float64()}
_SPARK_TYPES = {Kind.INTEGER: "bigint", Kind.NUMBER: "double"}
_VIOLATION_ARROW = pa.struct([(attribute.name, pa.string()) for attribute in fields(Violation)])


def decode_in_workers(records: DataFrame, contract: Contract) -> DataFrame:
    """The same as :func:`lib.codec.decode_spark.decode_records`, by Python workers.

    Args:
        records: the columns of ``SOURCE_COLUMNS``.
        contract: what a record has to look like.

    Returns:
        As ``decode_records``; of an invalid record neither identifier nor event time.
    """
    types = {
        **SOURCE_TYPES,
        **{spec.name: _SPARK_TYPES.get(spec.kind, "string") for spec in contract.checked},
        "violations": f"array<{VIOLATION_TYPE}>",
    }
    schema = ", ".join(f"`{name}` {kind}" for name, kind in types.items())
    return select_for_workers(records).mapInArrow(DecodeBatches(contract), schema)


def select_for_workers(records: DataFrame) -> DataFrame:
    """``SOURCE_COLUMNS`` as they go to Python workers: the headers as text.

    Why: ``lib.sinks.header_text``.
    """
    return records.select(*SOURCE_COLUMNS).withColumn("source_headers", F.to_json("source_headers"))


@dataclass(frozen=True)
class DecodeBatches:
    """What a worker does with the batches of a partition; see ``DataFrame.mapInArrow``.

    Attributes:
        contract: what a record has to look like.
    """

    contract: Contract

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """A row for each record, in their order."""
        return map_batches(self.decode, batches)

    def decode(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """The columns of :func:`decode_in_workers` for records of ``SOURCE_COLUMNS``.

        The headers come as text; see ``lib.sinks.header_text``.
        """
        decoded = decode_batch(records["source_value"], self.contract)
        columns = {name: records[name] for name in SOURCE_COLUMNS}
        columns["source_headers"] = parse_header_column(records["source_headers"])
        place = _find_places(decoded.valid)
        for spec in self.contract.checked:
            columns[spec.name] = _spread(_read_column(decoded, spec, self.contract), place)
        for spec in self.contract.features:
            columns[spec.name] = columns[spec.name].fill_null(spec.stand_in)
        columns["violations"] = _list_violations(decoded, records.num_rows)
        return pa.RecordBatch.from_pydict(columns)


def _find_places(valid: npt.NDArray[np.bool_]) -> pa.Array | None:
    """Of each row the position among the valid ones, null where it is none; None if all are."""
    if valid.all():
        return None
    return pa.array(np.cumsum(valid) - 1, mask=~valid)


def _spread(column: pa.Array, place: pa.Array | None) -> pa.Array:
    return column if place is None else column.take(place)


def _read_column(decoded: DecodedBatch, spec: Field, contract: Contract) -> pa.Array:
    """A column of the valid rows."""
    if spec == contract.identifier:
        return decoded.identifiers
    if spec == contract.event_time:
        return decoded.event_times
    column: Column = decoded.features[spec.name]
    if isinstance(column, Category):
        return pa.array(column.allowed, pa.string()).take(pa.array(column.codes))
    return pa.array(column, _ARROW_TYPES[spec.kind])


def _list_violations(decoded: DecodedBatch, count: int) -> pa.ListArray:
    """What is wrong with each row; empty where nothing is."""
    lengths = np.zeros(count + 1, dtype=np.int32)
    listed: list[dict[str, str]] = []
    for row, violations in sorted(decoded.violations.items()):
        lengths[row + 1] = len(violations)
        listed += [violation.to_dict() for violation in violations]
    ends = pa.array(np.cumsum(lengths), pa.int32())
    return pa.ListArray.from_arrays(ends, pa.array(listed, _VIOLATION_ARROW))
