"""The contract's checks in Python workers, for models that Spark's JVM evaluates.

The rows of ``spark.py``, by the parser of ``arrow.py``: it takes about half of
the processor time, Arrow there and back included. It costs a Python worker for each task.
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
from lib.decode.engines.spark import SOURCE_COLUMNS, SOURCE_TYPES
from lib.decode.engines.spark_violations import VIOLATION_TYPE
from lib.messages.header_text import parse_header_column
from lib.record.contract import Contract, Field
from lib.record.types import find_spark_type
from lib.record.violations import Violation
from lib.spark.quoting import quote
from lib.spark.worker_batches import map_batches

_ARROW_TYPES = {"string": pa.string(), "bigint": pa.int64(), "double": pa.float64()}
_VIOLATION_ARROW = pa.struct([(attribute.name, pa.string()) for attribute in fields(Violation)])


def decode_in_workers(records: DataFrame, contract: Contract) -> DataFrame:
    """The same as :func:`lib.decode.engines.spark.decode_records`, by Python workers.

    Args:
        records: the columns of ``SOURCE_COLUMNS``.
        contract: what a record has to look like.

    Returns:
        As ``decode_records``; of an invalid record neither identifier nor event time.
    """
    types = {
        **SOURCE_TYPES,
        **{spec.name: find_spark_type(spec) for spec in contract.checked},
        "violations": f"array<{VIOLATION_TYPE}>",
    }
    schema = ", ".join(f"{quote(name)} {kind}" for name, kind in types.items())
    return select_for_workers(records).mapInArrow(DecodeBatches(contract), schema)


def select_for_workers(records: DataFrame) -> DataFrame:
    """``SOURCE_COLUMNS`` as they go to Python workers: the headers as text.

    Why: ``lib.messages.header_text``.
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

        The headers come as text; see ``lib.messages.header_text``.
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
        codes = pa.array(column.codes, mask=column.codes == MISSING)
        return pa.array(column.allowed, pa.string()).take(codes)
    return pa.array(column, _find_arrow_type(spec))


def _find_arrow_type(spec: Field) -> pa.DataType:
    return _ARROW_TYPES[find_spark_type(spec)]


def _list_violations(decoded: DecodedBatch, count: int) -> pa.ListArray:
    """What is wrong with each row; empty where nothing is."""
    lengths = np.zeros(count + 1, dtype=np.int32)
    listed: list[dict[str, str]] = []
    for row, violations in sorted(decoded.violations.items()):
        lengths[row + 1] = len(violations)
        listed += [violation.to_dict() for violation in violations]
    ends = pa.array(np.cumsum(lengths), pa.int32())
    return pa.ListArray.from_arrays(ends, pa.array(listed, _VIOLATION_ARROW))
