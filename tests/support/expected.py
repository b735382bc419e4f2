"""Compute what the stored models say about numbered records, to compare the answers with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lib.decode.engines.python import decode_value
from lib.inference_backend import load_model, predict
from tests.support.numbered import NumberedRecords
from tests.support.telco import CUSTOMER

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def expect_probabilities(
    store: Path,
    records: NumberedRecords,
    *,
    name: str = "churn",
    versions: Iterable[int] = (1,),
    backends: Iterable[str] = ("sql", "onnx", "spark", "sklearn"),
    spark: SparkSession | None = None,
) -> dict[str, list[float]]:
    """Score every customer of the pool with stored models.

    Args:
        store: folder of the model store.
        records: numbered records; each customer of their pool is scored.
        name, versions: the models to score with.
        backends: names of backends; "sql" and "spark" need ``spark``.
        spark: a session, or None.

    Returns:
        Model version as messages name it, like ``churn@1/spark`` → probability by place in the
        pool.
    """
    values = [records.valid(0, place)[1] for place in range(records.pool_size)]
    features = [dict(decode_value(value, CUSTOMER).features) for value in values]
    expected = {}
    for version in versions:
        for backend in backends:
            model = load_model(backend, f"{store}/{name}@{version}", spark_session=spark)
            _, probabilities = predict(model, features)
            expected[f"{name}@{version}/{backend}"] = [float(it) for it in probabilities]
    return expected
