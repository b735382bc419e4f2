"""Every engine gives the reference's verdicts and values, over random contracts."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lib.decode.engines.arrow import Category, decode_batch
from lib.decode.engines.python import Decoded, decode_value
from lib.decode.formats.base import ROW_CONDITIONS
from lib.errors import SourceError
from lib.inference_backend import SklearnBackend, predict
from lib.record.checks import CHECKS, Condition, check_value
from lib.record.contract import Contract, Field, Kind
from lib.record.contract_file import parse_contract
from lib.record.place import put
from lib.record.types import is_float
from lib.record.violations import Rule
from lib.score.features import FeaturesValueError
from lib.training.data import clean_table
from tests.decode.test_decoders_agree import RECORDS_TYPE
from tests.record.random_contracts import STRANGE, draw_contract, draw_values

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def as_model_gets_it(decoded: Decoded, contract: Contract) -> dict[str, Any]:
    """Return the features as a model gets them; NaN becomes text, because NaN equals nothing."""
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


def test_every_engine_knows_every_condition_of_the_table() -> None:
    from lib.decode.engines import arrow, conditions
    from lib.record import checks

    assert {check.condition for check in CHECKS} == set(Condition)
    assert checks._HOLDS.keys() == conditions.HOLDS.keys() == set(Condition)
    assert arrow._HOLDS.keys() | ROW_CONDITIONS == set(Condition)
    assert arrow._HOLDS.keys().isdisjoint(ROW_CONDITIONS)


class Echo:
    """A model that keeps the features that it gets."""

    features = pd.DataFrame()

    def predict_proba(self, features: pd.DataFrame) -> Any:
        self.features = features
        return [[0.5, 0.5]] * len(features)


REFUSED = "refused"


def expect_of_predict(contract: Contract, spec: Field, value: Any) -> Any:
    """Return what a model must get for a value, derived from what the stream makes of it.

    predict() checks neither ranges nor allowed texts.
    """
    record: dict[str, Any] = {}
    for field in contract.checked:
        put(record, field.place, value if field is spec else field.stand_in)
    decoded = decode_value(json.dumps(record).replace(": Infinity", ": 1e999").encode(), contract)
    if decoded.is_valid:
        return decoded.features[spec.name]
    (violation,) = decoded.violations
    if violation.rule is Rule.OUT_OF_RANGE:
        number = float(value)
        is_taken = math.isfinite(number) and (spec.kind is Kind.NUMBER or number.is_integer())
        return number if is_taken else REFUSED
    return REFUSED if violation.rule in (Rule.WRONG_TYPE, Rule.MISSING) else value


@pytest.mark.parametrize("seed", range(60))
def test_predict_reads_what_the_stream_reads(seed: int) -> None:
    contract = replace(draw_contract(seed), max_bytes=8_192)
    backend = SklearnBackend("by hand", contract=contract)
    backend.model = echo = Echo()
    harmless = {
        spec.name: bool(spec.stand_in) if spec.kind is Kind.BOOLEAN else spec.model_stand_in
        for spec in contract.features
    }
    for spec in contract.features:
        taken = []
        for value in (*STRANGE, math.inf):
            expected = expect_of_predict(contract, spec, value)
            features = {**harmless, spec.name: value}
            if expected == REFUSED:
                with pytest.raises(FeaturesValueError):
                    predict(backend, features)
                continue
            predict(backend, features)
            assert_same(echo.features[spec.name].tolist(), [expected])
            taken.append((features, expected))
        predict(backend, [features for features, _ in taken])
        assert_same(echo.features[spec.name].tolist(), [expected for _, expected in taken])


@pytest.mark.parametrize("value", [0, 1, 1.0, 2, np.int64(1), np.float64(0.0)])
def test_a_number_for_a_boolean_is_refused_in_a_record_and_taken_in_a_frame(value: Any) -> None:
    flag = '[[features]]\nname = "flag"\nkind = "boolean"\nnullable = true\n'
    contract = parse_contract(INTEGERS + flag, "flag.toml")
    message = json.dumps({"id": "a", "months": 1, "flag": float(value)}).encode()
    (violation,) = decode_value(message, contract).violations
    assert (violation.field, violation.rule) == ("flag", Rule.WRONG_TYPE)
    backend = SklearnBackend("by hand", contract=contract)
    backend.model = echo = Echo()

    expected = rf"flag in row 1: found a {type(value).__name__}, expected true or false"
    with pytest.raises(FeaturesValueError, match=expected):
        predict(backend, [{"months": 1, "flag": True}, {"months": 1, "flag": value}])

    if value != 2:
        predict(backend, pd.DataFrame({"months": [1], "flag": [value]}))
        assert echo.features["flag"].tolist() == [float(value)]
    for missing in (None, math.nan):
        predict(backend, {"months": 1, "flag": missing})
        assert_same(echo.features["flag"].tolist(), [None])


def assert_same(found: list[Any], expected: list[Any]) -> None:
    """Check that a column holds the expected values; NaN and None count as the same."""
    assert [None if pd.isna(value) else value for value in found] == expected


@pytest.mark.parametrize("seed", range(60))
def test_training_data_read_numeric_text_as_the_stream_does(seed: int) -> None:
    contract = draw_contract(seed)
    texts = [value for value in STRANGE if isinstance(value, str) and value]
    for spec in contract.features:
        if not spec.numeric_text:
            continue
        for text in texts:
            value, rule = check_value(text, spec)
            only = replace(contract, features=(spec,))
            table = pd.DataFrame({spec.name: [text], "label": ["n"]})
            if rule is None:
                data = clean_table(table, only, place="here", origin={})
                assert data.features[spec.name].tolist() == [value]
            else:
                with pytest.raises(SourceError, match="in 1 row"):
                    clean_table(table, only, place="here", origin={})


INTEGERS = """
name = "texts"
[identifier]
name = "id"
[label]
name = "label"
negative = "n"
positive = "p"
[[features]]
name = "months"
kind = "integer"
minimum = 0
maximum = 120
"""
# A value of the field months → what the model gets, or the rule that it breaks.
NUMERIC_TEXTS: list[tuple[Any, Any]] = [
    *((12, 12), ("12", 12), (" 12\t", 12), ("12.0", 12), ("1.2e1", 12), ("+7", 7), ("007", 7)),
    *(("-0", 0), ("120", 120), ("121", "out_of_range"), ("-1", "out_of_range")),
    *(("9007199254740993", "out_of_range"), ("1e999", "out_of_range"), ("12.5", "wrong_type")),
    *(("", "wrong_type"), (" ", "wrong_type"), ("twelve", "wrong_type"), ("0x10", "wrong_type")),
    *(("1_000", "wrong_type"), ("NaN", "wrong_type"), ("\u0661", "wrong_type")),
    *((True, "wrong_type"), (12.5, "wrong_type"), (["12"], "wrong_type"), (None, "missing")),
]


def build_texts(*, takes_text: bool) -> tuple[Contract, list[bytes], list[Any]]:
    """Build a contract, values of messages, and what becomes of the field months in each."""
    more = "numeric_text = true" if takes_text else ""
    contract = parse_contract(INTEGERS + more, "texts.toml")
    values = [json.dumps({"id": "a", "months": it}).encode() for it, _ in NUMERIC_TEXTS]
    expected = [
        found if takes_text or not isinstance(value, str) else "wrong_type"
        for value, found in NUMERIC_TEXTS
    ]
    return contract, values, expected


@pytest.mark.parametrize("takes_text", [True, False])
def test_integers_come_as_text_where_the_contract_says_so(*, takes_text: bool) -> None:
    contract, values, expected = build_texts(takes_text=takes_text)

    decoded = [decode_value(value, contract) for value in values]
    batch = decode_batch(pa.array(values, pa.binary()), contract)

    assert expected == [
        it.features["months"] if it.is_valid else str(it.violations[0].rule) for it in decoded
    ]
    numbers = [it for it in expected if isinstance(it, int)]
    assert batch.features["months"].tolist() == numbers
    assert batch.violations == {
        row: it.violations for row, it in enumerate(decoded) if not it.is_valid
    }
    backend = SklearnBackend("by hand", contract=contract)
    backend.model = echo = Echo()
    for (value, _), found in zip(NUMERIC_TEXTS, expected, strict=True):
        if isinstance(value, str) and found == "wrong_type":
            with pytest.raises(FeaturesValueError, match="months in row 0"):
                predict(backend, {"months": value})
        elif isinstance(found, int):
            predict(backend, {"months": value})
            assert echo.features["months"].tolist() == [found]


@pytest.mark.parametrize("takes_text", [True, False])
def test_spark_takes_integers_as_text_where_the_contract_says_so(
    spark: SparkSession, *, takes_text: bool
) -> None:
    from lib.decode.engines.spark import decode_records

    contract, values, expected = build_texts(takes_text=takes_text)
    rows = [(b"k", value, None, "t", 0, offset, None) for offset, value in enumerate(values)]

    decoded = decode_records(spark.createDataFrame(rows, RECORDS_TYPE), contract)

    assert expected == [
        row.violations[0].rule if row.violations else row.months
        for row in decoded.orderBy("source_offset").collect()
    ]


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
