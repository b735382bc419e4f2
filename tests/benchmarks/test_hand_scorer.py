"""The hand-written loop scores as the project does: it is a fair opponent."""

from __future__ import annotations

import json
from pathlib import Path

import joblib
import pytest

from benchmarks.hand_scorer import Scorer
from lib.inference_backend import load_model, predict
from lib.synth.records import encode_record
from lib.training.compile.export import export_onnx
from lib.training.sklearn_pipeline import build_sklearn_pipeline
from tests.score.models import build_customers
from tests.support.telco import CUSTOMER


@pytest.mark.parametrize(
    ("backend", "name"), [("sklearn", "pipeline.joblib"), ("onnx", "pipeline.onnx")]
)
def test_the_loop_predicts_what_the_library_predicts(
    backend: str, name: str, tmp_path: Path
) -> None:
    customers = build_customers(200, seed=5)
    labels = (customers["tenure"] < 20).map({True: "Yes", False: "No"})
    pipeline = build_sklearn_pipeline(CUSTOMER).fit(customers, labels)
    joblib.dump(pipeline, tmp_path / "pipeline.joblib")
    (tmp_path / "pipeline.onnx").write_bytes(export_onnx(pipeline, CUSTOMER))
    records = [
        {"customerID": f"C{row}", **{str(name): value for name, value in values.items()}}
        for row, values in enumerate(customers.to_dict(orient="records"))
    ]
    model = load_model(backend, tmp_path / name, contract=CUSTOMER)
    _, expected = predict(model, customers)

    texts = Scorer(tmp_path / name, 0.33, "m@1/loop").score(
        [encode_record(it, CUSTOMER, event_time="2026-01-01T00:00:00Z") for it in records]
    )

    found = [json.loads(text or "") for text in texts]
    assert [it["churn_probability"] for it in found] == pytest.approx(expected, abs=2e-6)
    assert [it["customerID"] for it in found] == [it["customerID"] for it in records]
    assert {it["prediction"] for it in found} == {"Yes", "No"}
