"""Predictions name the fields that moved their score most, alike in Spark's JVM and in workers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from lib.decode.engines.arrow import decode_batch
from lib.decode.engines.python import decode_value
from lib.encode.reasons import ReasonWriter, format_effects, format_numbers
from lib.messages.dead_letter import OutputSettings
from lib.messages.effects import Effects, FieldEffects, Reasons, list_reasons
from lib.record.contract import Contract, Field, Kind
from lib.record.contract_file import read_contract
from lib.record.types import is_text
from lib.stream.plan import score_records
from lib.synth.sampler import draw_records
from tests.stream.test_plan import DECODED_IN_WORKERS, IN_JVM, IN_WORKERS, build_records
from tests.support.telco import CUSTOMER
from tests.support.worker_scorers import FunctionScorer

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lib.score.scorer import BatchScorer

LOAN = read_contract(Path(__file__).parents[1] / "domains" / "loan.toml")
CONTRACTS = {"customer": CUSTOMER, "loan": LOAN}
ROUTES = {"JVM": IN_JVM, "decoded in workers": DECODED_IN_WORKERS, "workers": IN_WORKERS}
# These fields have the largest effects in turn, so that each kind of value is written.
LARGE = (0.0, 1e9, 123456789.125, 0.0000004, 1.5, 1e12, 1e300)


def count_rows(features: Mapping[str, Any]) -> Any:
    return np.full(len(next(iter(features.values()))), 0.25)


@dataclass(frozen=True)
class Constant:
    """A scorer that gives each record the probability 0.25."""

    threshold: float = 0.5
    scored_by: str = "constant@1/sql"

    def with_probability(self, frame: DataFrame) -> DataFrame:
        from pyspark.sql import functions as F

        return frame.withColumn("probability", F.lit(0.25))

    def build_batch_scorer(self, session: SparkSession) -> BatchScorer:
        return FunctionScorer(count_rows)


def draw_effects(contract: Contract, seed: int) -> Effects:
    """Draw effects that often are equal, so that their order shows too."""
    random = Random(seed)

    def draw() -> float:
        return random.choice([0.0, 0.00004, 0.5, -0.5, round(random.uniform(-2, 2), 5)])

    def build(field: Field) -> FieldEffects:
        if is_text(field):
            additions = [(value, draw()) for value in field.allowed]
            return FieldEffects(field.name, draw(), 0.0, draw(), tuple(additions))
        slope = draw() / 10 ** random.randrange(4)
        return FieldEffects(field.name, draw(), slope, draw(), ((12, draw()),))

    fields = (it for it in contract.features if it.kind is not Kind.TEXT)
    return Effects(0.1, tuple(map(build, fields)))


def make_values(contract: Contract) -> list[bytes]:
    """Make valid records, some with very large and very small numbers where there is no maximum."""
    records = list(islice(draw_records(contract, seed=4), 60))
    open_ended = [it for it in contract.numeric if it.maximum is None and it.kind is Kind.NUMBER]
    for field in open_ended:
        for record, number in zip(records, LARGE, strict=False):
            target = record
            for name in field.place[:-1]:
                target = target[name]
            target[field.place[-1]] = number
    return [json.dumps(record).encode() for record in records]


@pytest.mark.parametrize("domain", CONTRACTS)
@pytest.mark.parametrize("route", ROUTES)
def test_each_prediction_lists_the_largest_effects_of_its_record(
    spark: SparkSession, route: str, domain: str
) -> None:
    contract, values = CONTRACTS[domain], make_values(CONTRACTS[domain])
    expected, found = [], []
    for seed, count in ((1, 3), (2, 1), (3, 100)):
        reasons = Reasons(draw_effects(contract, seed), count)
        output = OutputSettings("out", "dead", "query", reasons=reasons)
        messages = score_records(
            build_records(spark, values), Constant(), contract, output, ROUTES[route]
        )
        for row in messages.orderBy("source_offset").collect():
            assert row.topic == "out"
            found.append(json.loads(row.value)["reasons"])
        for value in values:
            listed = list_reasons(reasons, decode_value(value, contract).features)
            expected.append([show(contract, it) for it in listed])

    assert found == expected
    assert len(found) == 180


@pytest.mark.parametrize("domain", CONTRACTS)
def test_a_worker_lists_the_reasons_of_the_reference(domain: str) -> None:
    contract, values = CONTRACTS[domain], make_values(CONTRACTS[domain])
    features = decode_batch(pa.array(values, pa.binary()), contract).features
    rows = [decode_value(value, contract).features for value in values]
    for seed in range(40):
        reasons = Reasons(draw_effects(contract, seed), (1, 2, 3, 100)[seed % 4])
        expected = [[show(contract, it) for it in list_reasons(reasons, row)] for row in rows]

        found = ReasonWriter(reasons, contract).write(features)

        assert [json.loads(text) for text in found.to_pylist()] == expected, seed


def test_numbers_and_effects_are_written_without_exponents() -> None:
    numbers = np.array([30, 29.85, 1e-6, 4e-7, -4e-7, -0.0, 1e8, 999999999.999999, 1e9, 1e300])
    assert format_numbers(numbers).to_pylist() == [
        *("30", "29.85", "0.000001", "0", "0", "0", "100000000", "999999999.999999"),
        *("1000000000", "null"),
    ]
    effects = np.array([0, 1, -1, 8_100, -8_100, 10_000, 10**10, -(10**10)])
    assert format_effects(effects).to_pylist() == [
        *("0.0000", "0.0001", "-0.0001", "0.8100", "-0.8100", "1.0000"),
        *("1000000.0000", "-1000000.0000"),
    ]


def test_no_effect_is_larger_than_a_million() -> None:
    reasons = Reasons(Effects(0.0, (FieldEffects("income", 0.0, -10.0),)), 1)
    income = {"income": np.array([1e300, 2.5, 99_999.99999])}

    assert ReasonWriter(reasons, LOAN).write(income).to_pylist() == [
        '[{"feature":"income","value":null,"effect":-1000000.0000}]',
        '[{"feature":"income","value":2.5,"effect":-25.0000}]',
        '[{"feature":"income","value":99999.99999,"effect":-999999.9999}]',
    ]


def show(contract: Contract, reason: dict[str, Any]) -> dict[str, Any]:
    """Give a value the form that JSON has: booleans, and numbers of at most six decimals."""
    value = reason["value"]
    if value is not None and contract.field(reason["feature"]).kind is Kind.BOOLEAN:
        value = bool(value)
    if isinstance(value, float):
        value = round(value, 6) if value < 1e38 else None
    return {**reason, "value": value}


def test_the_text_of_a_prediction_with_reasons_is_literal(spark: SparkSession) -> None:
    effects = Effects(
        0.0,
        (
            FieldEffects("purpose", 0.0, 0.0, 0.0, (("car", -0.81),)),
            FieldEffects("income", -1.0, 0.001, 0.25),
            FieldEffects("employed", 0.3, -0.3),
        ),
    )
    contract = LOAN
    record = next(
        it
        for it in draw_records(contract, seed=4)
        if it["applicant"].get("income") is not None and it["applicant"]["employed"]
    )
    record["purpose"] = "car"
    record["applicant"]["income"] = 2100.5
    output = OutputSettings("out", "dead", "query", reasons=Reasons(effects, 3))
    for route in (IN_JVM, IN_WORKERS):
        records = build_records(spark, [json.dumps(record).encode()])
        (row,) = score_records(records, Constant(), contract, output, route).collect()
        assert row.value.endswith(
            b',"model_version":"constant@1/sql","reasons":['
            b'{"feature":"income","value":2100.5,"effect":1.1005},'
            b'{"feature":"purpose","value":"car","effect":-0.8100},'
            b'{"feature":"employed","value":true,"effect":0.0000}]}'
        )
