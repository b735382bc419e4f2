"""Measure one record in the bare scikit-learn pipeline, ``predict`` around it, ONNX and Spark.

    .venv/bin/python -m benchmarks.single_record models/churn@champion

Each round times the bare call and ``predict`` one after the other, in alternating order; the
overhead is the median of the rounds' differences. Only the driver runs, with one thread, warmed up.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from statistics import median, quantiles

import pandas as pd

from benchmarks.telco import CUSTOMER
from lib.errors import ModelError
from lib.inference_backend import ModelBackend, OnnxBackend, SparkBackend, load_model, predict

# This is a customer of a year, as a decoder leaves it, so the bare pipeline takes it without help.
RECORD = {**CUSTOMER.stand_ins, "tenure": 12, "MonthlyCharges": 50.0, "TotalCharges": 600.0}
WARM_UP_ROUNDS = 20


def time_ms(call: Callable[[], object]) -> float:
    """Return the milliseconds of one call."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def measure_overhead_ms(
    bare: Callable[[], object], wrapped: Callable[[], object], rounds: int
) -> tuple[list[float], list[float], float]:
    """Time two calls in pairs.

    Returns:
        The times of ``bare`` and of ``wrapped`` in ms, one for each round, and the median
        difference.
    """
    for _ in range(WARM_UP_ROUNDS):
        bare(), wrapped()
    bare_ms, wrapped_ms = [], []
    for number in range(rounds):
        if number % 2:  # the second call finds warmer caches
            wrapped_ms.append(time_ms(wrapped))
            bare_ms.append(time_ms(bare))
        else:
            bare_ms.append(time_ms(bare))
            wrapped_ms.append(time_ms(wrapped))
    differences = [w - b for b, w in zip(bare_ms, wrapped_ms, strict=True)]
    return bare_ms, wrapped_ms, median(differences)


def measure_sklearn(backend: ModelBackend, rounds: int) -> list[tuple[str, list[float], float]]:
    """Return the table's rows for a scikit-learn model: a ready frame, then a dict."""
    frame = pd.DataFrame([RECORD])
    model = backend.model
    rows = []
    cases: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
        (
            "DataFrame",
            lambda: model.predict_proba(frame)[:, 1],
            lambda: predict(backend, frame),
        ),
        (
            "dict",
            lambda: model.predict_proba(pd.DataFrame([RECORD]))[:, 1],
            lambda: predict(backend, RECORD),
        ),
    ]
    for name, bare, wrapped in cases:
        bare_ms, wrapped_ms, overhead_ms = measure_overhead_ms(bare, wrapped, rounds)
        rows.append((f"sklearn pipeline, {name}", bare_ms, 0.0))
        rows.append((f"predict(sklearn), {name}", wrapped_ms, overhead_ms))
    return rows


def measure_alone(backend: ModelBackend, rounds: int) -> list[float]:
    """Return the milliseconds of ``predict`` on a dict, warmed up."""
    for _ in range(WARM_UP_ROUNDS):
        predict(backend, RECORD)
    return [time_ms(lambda: predict(backend, RECORD)) for _ in range(rounds)]


def format_row(name: str, times_ms: Sequence[float], overhead_ms: float | None = None) -> str:
    """Write one line of the table."""
    p99 = quantiles(times_ms, n=100)[98]
    extra = "" if not overhead_ms else f"{overhead_ms:+.4f}"
    return f"{name:<30} {median(times_ms):>10.3f} {p99:>10.3f} {extra:>12}".rstrip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one record in each way and print the table; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.single_record")
    parser.add_argument("model", nargs="?", default="models/churn@champion")
    parser.add_argument("--rounds", type=int, default=2_000, help="of scikit-learn")
    parser.add_argument("--spark-rounds", type=int, default=100, help="0 leaves Spark out")
    options = parser.parse_args(arguments)

    print(f"{'one record':<30} {'p50 ms':>10} {'p99 ms':>10} {'overhead ms':>12}")
    for row in measure_sklearn(load_model("sklearn", options.model), options.rounds):
        print(format_row(*row))
    onnx = OnnxBackend(options.model)
    with suppress(ModelError):  # the version has no such model
        onnx.load()
        print(format_row("predict(onnx), dict", measure_alone(onnx, options.rounds)))
    if options.spark_rounds:
        spark = SparkBackend(options.model)
        spark.load()
        print(format_row("predict(spark), dict", measure_alone(spark, options.spark_rounds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
