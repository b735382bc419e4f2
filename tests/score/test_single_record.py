from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.single_record import RECORD, main, measure_overhead_ms
from lib.inference_backend import SklearnBackend, predict
from tests.support.telco import CUSTOMER


class Instant:
    """A model with a pipeline's columns that takes no time to score one row."""

    feature_names_in_ = np.array(CUSTOMER.feature_names, dtype=object)
    answer = np.array([[0.4, 0.6]])

    def predict_proba(self, features: pd.DataFrame) -> Any:
        return self.answer


def test_predict_adds_less_than_a_tenth_of_a_millisecond() -> None:
    # Beside a model of 4 ms the difference is lost in the noise of a busy machine, so this model
    # takes no time. The benchmark measures the difference beside a real pipeline.
    backend = SklearnBackend("by-hand")
    backend.model = Instant()
    frame = pd.DataFrame([RECORD])
    _, _, overhead_ms = measure_overhead_ms(
        lambda: backend.model.predict_proba(frame), lambda: predict(backend, frame), rounds=500
    )
    assert overhead_ms < 0.1


def test_benchmark_prints_its_table(joblib_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(joblib_path), "--rounds", "10", "--spark-rounds", "0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:16].strip() for line in lines] == [
        "one record",
        "sklearn pipeline",
        "predict(sklearn)",
        "sklearn pipeline",
        "predict(sklearn)",
    ]
