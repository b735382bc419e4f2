"""A challenger in Spark's JVM answers the records that one in Python workers would."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest

from lib.messages.dead_letter import OutputSettings
from lib.stream.trial.models import Rival, Trial
from tests.stream.test_plan import DECODED_IN_WORKERS, IN_JVM, KAFKA_TIME, Formula
from tests.stream.trial.plans import build_plan, build_records, build_trial, give, read
from tests.support.records import record
from tests.support.telco import CUSTOMER

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Quarter(Formula):
    """A scorer that gives 0.25, and fails on a tenure of 7."""

    threshold: float = 0.2
    scored_by: str = "m@2/sql"
    is_native: bool = True

    def with_probability(self, frame: DataFrame) -> DataFrame:
        from pyspark.sql import functions as F

        return frame.withColumn("probability", F.when(F.col("tenure") != 7, 0.25))


VALUES = [b"{" if number == 3 else record(tenure=number % 9) for number in range(200)]
KEYS = [None if number % 5 == 0 else f"key-{number}".encode() * 40 for number in range(200)]


@pytest.mark.parametrize("route", [IN_JVM, DECODED_IN_WORKERS], ids=["JVM", "decoded in workers"])
def test_the_same_records_are_the_challengers_in_both_engines(
    spark: SparkSession, route: Any
) -> None:
    from lib.stream.plan import score_records
    from tests.decode.test_decoders_agree import RECORDS_TYPE

    rows = [
        (key, value, None, "in", 3, offset, KAFKA_TIME)
        for offset, (key, value) in enumerate(zip(KEYS, VALUES, strict=True))
    ]
    records = spark.createDataFrame(rows, RECORDS_TYPE)
    output = OutputSettings("out", "dead", "query", is_counted=True)
    trial = Trial(Rival(cast(Any, Quarter())), 0.4)
    champion = Formula(scored_by="m@1/sql")

    messages = score_records(records, champion, CUSTOMER, output, route, trial=trial)
    found = messages.orderBy("source_offset").collect()

    twin = build_trial(build_plan(give(0.0), "m@1/sql"), build_plan(give(0.0), "m@2/sql"), 0.4)
    wanted = read(twin.score_batch(build_records(VALUES, KEYS)))
    assert [row.topic for row in found if row.source_offset == 3] == ["dead"]
    for row, answer in zip(found, wanted, strict=True):
        if answer.topic == "dead":
            continue
        model = answer.value["model_version"]
        if row.topic == "dead":
            assert model == "m@2/sql"  # only the challenger fails
            assert row.source_offset % 9 == 7
            continue
        value = json.loads(row.value)
        assert value["model_version"] == model
        probability, label = (0.25, "Yes") if model == "m@2/sql" else (0.02985, "No")
        assert (value["churn_probability"], value["prediction"]) == (probability, label)
        assert row.outcome == f"{model}\t{label}"
    models = [json.loads(row.value)["model_version"] for row in found if row.topic == "out"]
    assert 50 < models.count("m@2/sql") < 110
