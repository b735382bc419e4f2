"""Decodes and checks records in Python workers, for models that Spark's JVM evaluates.

The result is that of ``spark.py``, with the parser of ``arrow.py``, which takes about half of the
processor time, Arrow there and back included. It needs a Python worker for each task.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lib.decode.engines.arrow import MISSING, Category, Column, DecodedBatch, decode_batch
from lib.decode.engines.spark_violations import VIOLATION_TYPE
from lib.messages.columns import SOURCE_COLUMNS, SOURCE_TYPES
from lib.messages.header_text import parse_header_column
from lib.record.contract import Contract, Field
from lib.record.types import find_spark_type
from lib.record.violations import Violation
from lib.spark.quoting import quote
from lib.spark.worker_batches import map_batches

_ARROW_TYPES = {"string": pa.string(), "bigint": pa.int64(), "double": pa.float64()}
_VIOLATION_ARROW = pa.struct([(attribute.name, pa.string()) for attribute in fields(Violation)])


def decode_in_workers(records: DataFrame, contract: Contract) -> DataFrame:
    """Do what :func:`lib.decode.engines.spark.decode_records` does in Python workers.

    Args:
        records: the columns of ``SOURCE_COLUMNS``.
        contract: the contract of the records.

    Returns:
        The columns of ``decode_records``; those of an invalid record have no identifier and no
        event time.
    """
    types = {
        **SOURCE_TYPES,
        **{spec.name: find_spark_type(spec) for spec in contract.checked},
        "violations": f"array<{VIOLATION_TYPE}>",
    }
    schema = ", ".join(f"{quote(name)} {kind}" for name, kind in types.items())
    return select_for_workers(records).mapInArrow(DecodeBatches(contract), schema)


def select_for_workers(records: DataFrame) -> DataFrame:
    """Select ``SOURCE_COLUMNS`` for Python workers, with the headers as text.

    ``lib.messages.header_text`` says why they are text.
    """
    return records.select(*SOURCE_COLUMNS).withColumn("source_headers", F.to_json("source_headers"))


@dataclass(frozen=True)
class DecodeBatches:
    """Decodes the batches of a partition in a worker; see ``DataFrame.mapInArrow``.

    Attributes:
        contract: the contract of the records.
    """

    contract: Contract

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield a row for each record, in their order."""
        return map_batches(self.decode, batches)

    def decode(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """Decode records of ``SOURCE_COLUMNS`` to the columns of :func:`decode_in_workers`.

        The headers are text; see ``lib.messages.header_text``.
        """
        decoded = decode_batch(records["source_value"], self.contract)
        columns = {name: records[name] for name in SOURCE_COLUMNS}
        columns["source_headers"] = parse_header_column(records["source_headers"])
        place = _find_places(decoded.valid)
        for spec in self.contract.checked:
            columns[spec.name] = _spread(_read_column(decoded, spec, self.contract), place)
        if place is not None:
            valid = pa.array(decoded.valid)
            for spec in self.contract.features:
                stand_in = pa.scalar(spec.model_stand_in, _find_arrow_type(spec))
                columns[spec.name] = pc.if_else(valid, columns[spec.name], stand_in)
        columns["violations"] = _list_violations(decoded, records.num_rows)
        return pa.RecordBatch.from_pydict(columns)


def _find_places(valid: npt.NDArray[np.bool_]) -> pa.Array | None:
    """Find each row's position among the valid rows, null for others; None if all are valid."""
    if valid.all():
        return None
    return pa.array(np.cumsum(valid) - 1, mask=~valid)


def _spread(column: pa.Array, place: pa.Array | None) -> pa.Array:
    return column if place is None else column.take(place)


def _read_column(decoded: DecodedBatch, spec: Field, contract: Contract) -> pa.Array:
    """Read a column of the valid rows."""
    if spec == contract.identifier:
        return decoded.identifiers
    if spec == contract.event_time:
        return decoded.event_times
    column: Column = decoded.features[spec.name]
    if isinstance(column, Category):
        codes = pa.array(column.codes, mask=column.codes == MISSING)
        return pa.array(column.allowed, pa.string()).take(codes)
    return pa.array(column, _find_arrow_type(spec))


def _find_arrow_type(spec: Field) -> pa.DataType:
    return _ARROW_TYPES[find_spark_type(spec)]


def _list_violations(decoded: DecodedBatch, count: int) -> pa.ListArray:
    """List the violations of each row; empty for a valid row."""
    lengths = np.zeros(count + 1, dtype=np.int32)
    listed: list[dict[str, str]] = []
    for row, violations in sorted(decoded.violations.items()):
        lengths[row + 1] = len(violations)
        listed += [violation.to_dict() for violation in violations]
    ends = pa.array(np.cumsum(lengths), pa.int32())
    return pa.ListArray.from_arrays(ends, pa.array(listed, _VIOLATION_ARROW))
