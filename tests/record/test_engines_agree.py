"""Every engine against the reference, over random contracts: the same verdicts and values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lib.decode.engines.arrow import Category, decode_batch
from lib.decode.engines.python import Decoded, decode_value
from lib.record.contract import Contract
from lib.record.types import is_float
from tests.decode.test_decoders_agree import RECORDS_TYPE
from tests.record.random_contracts import draw_contract, draw_values

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def as_model_gets_it(decoded: Decoded, contract: Contract) -> dict[str, Any]:
    """Missing numbers as NaN, shown as text, for NaN equals nothing."""
    return {
        spec.name: _show(math.nan if value is None and is_float(spec) else value, is_float(spec))
        for spec in contract.features
        for value in [decoded.features[spec.name]]
    }


def _show(value: Any, is_number: bool) -> Any:
    if value is None or not is_number:
        return value
    return "NaN" if math.isnan(value) else float(value)


@pytest.mark.parametrize("seed", range(150))
def test_the_batch_decoder_says_what_the_reference_says(seed: int) -> None:
    contract = draw_contract(seed)
    values = draw_values(contract, 200, seed)
    expected = [decode_value(value, contract) for value in values]

    batch = decode_batch(pa.array(values, pa.binary()), contract)

    assert batch.valid.tolist() == [it.is_valid for it in expected]
    assert batch.violations == {
        position: it.violations for position, it in enumerate(expected) if not it.is_valid
    }
    valid = [it for it in expected if it.is_valid]
    assert batch.identifiers.to_pylist() == [it.identifier for it in valid]
    assert batch.event_times.to_pylist() == [it.event_time for it in valid]
    columns = {
        name: (column.to_objects() if isinstance(column, Category) else column).tolist()
        for name, column in batch.features.items()
    }
    for row, it in enumerate(valid):
        found = {
            spec.name: _show(columns[spec.name][row], is_float(spec)) for spec in contract.features
        }
        assert found == as_model_gets_it(it, contract)


def test_valid_and_broken_records_of_every_rule_are_among_them() -> None:
    rules: set[str] = set()
    valid = 0
    for seed in range(150):
        contract = draw_contract(seed)
        for value in draw_values(contract, 50, seed):
            decoded = decode_value(value, contract)
            valid += decoded.is_valid
            rules |= {str(it.rule) for it in decoded.violations}

    assert valid > 1_000
    assert rules == {
        *("null_value", "too_large", "not_utf8", "not_json", "not_object", "missing"),
        *("wrong_type", "not_allowed", "out_of_range", "malformed"),
    }


@pytest.mark.parametrize("engine", ["spark", "workers"])
@pytest.mark.parametrize("seed", range(12))
def test_spark_says_what_the_reference_says(spark: SparkSession, seed: int, engine: str) -> None:
    from lib.decode.engines.spark import decode_records
    from lib.decode.engines.workers import decode_in_workers

    contract = draw_contract(seed)
    values = draw_values(contract, 600, seed)
    rows = [(b"k", value, None, "t", 0, offset, None) for offset, value in enumerate(values)]
    decode = decode_records if engine == "spark" else decode_in_workers

    decoded = decode(spark.createDataFrame(rows, RECORDS_TYPE), contract)
    found = decoded.orderBy("source_offset").collect()

    assert_agreement(found, values, contract)


def assert_agreement(
    rows: Sequence[Any], values: Sequence[bytes | None], contract: Contract
) -> None:
    for row, value in zip(rows, values, strict=True):
        expected = decode_value(value, contract)
        found = [(it.field, it.rule, it.expected) for it in row.violations]
        wanted = [(it.field, str(it.rule), it.expected) for it in expected.violations]
        assert found == wanted, (contract, value)
        features = {spec.name: _show(row[spec.name], is_float(spec)) for spec in contract.features}
        if expected.is_valid:
            assert features == as_model_gets_it(expected, contract), (contract, value)
            assert row[contract.identifier.name] == expected.identifier
        else:
            assert features == {
                spec.name: _show(spec.model_stand_in, is_float(spec)) for spec in contract.features
            }
