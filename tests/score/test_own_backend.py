"""A backend outside of ``lib`` takes one class and one row, as docs/backends.md says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pandas as pd
import pytest

from lib.errors import ModelCorruptError, ModelMismatchError
from lib.inference_backend import ModelBackend, get_backend_info, load_model, predict
from lib.messages.dead_letter import OutputSettings
from lib.record.prediction import Prediction
from lib.score.artefact import Artefact
from lib.score.choice import choose_backend
from lib.score.fallback import NotUsableError
from lib.score.registry import BACKENDS, BackendKind, register
from lib.score.workers.scorer import WorkerScorer
from lib.stream.route import find_route
from tests.score.conftest import THRESHOLD, save_version
from tests.support.records import VALID, record
from tests.support.telco import CUSTOMER

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lib.store import ModelVersion

# The model is the logistic function of -0.05 * tenure + 0.02 * MonthlyCharges.
WEIGHTS = '{"tenure": -0.05, "MonthlyCharges": 0.02}'
CUSTOMERS = [
    {**VALID, "tenure": 10, "MonthlyCharges": 25.0},
    {**VALID, "tenure": 60, "MonthlyCharges": 20.0},
]
PROBABILITIES = [0.5, 0.06913842]


def compute_logistic(weights: dict[str, float], rows: pd.DataFrame) -> Any:
    if (rows["tenure"] == 99).any():
        raise OverflowError
    total = sum(weight * rows[name].to_numpy(np.float64) for name, weight in weights.items())
    return 1 / (1 + np.exp(-np.asarray(total)))


class LogisticBackend(ModelBackend):
    """A backend that scores with weights from a JSON file."""

    backend_type = "logistic"

    def open_model(self) -> tuple[dict[str, float], Artefact]:
        artefact = self.find_file()
        try:
            return json.loads(artefact.read()), artefact
        except ValueError as error:
            raise NotUsableError(f"the model does not load: {error}") from error

    def wrap_model(self, model: dict[str, float], name: str) -> WorkerScorer:
        return WorkerScorer(model, name, partial(compute_logistic, model), tuple(model))


ROW = BackendKind(
    name="logistic",
    title="Logistic",
    artefact="weights.json",
    suffix=".json",
    build=LogisticBackend.build,
)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    register(ROW)
    yield
    del BACKENDS[ROW.name]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "card.json").write_text(WEIGHTS)
    return tmp_path / "card.json"


@pytest.fixture
def own_version(tmp_path: Path, sklearn_pipeline: Any) -> ModelVersion:
    def write(folder: Path) -> None:
        (folder / "weights.json").write_text(WEIGHTS)
        joblib.dump(sklearn_pipeline, folder / "pipeline.joblib")

    return save_version(tmp_path / "store", write)


def test_it_is_loaded_by_its_name_and_predicts(path: Path) -> None:
    backend = load_model("logistic", path, contract=CUSTOMER)

    for features in (CUSTOMERS, pd.DataFrame(CUSTOMERS)):
        labels, probabilities = predict(backend, features, backend="logistic")
        assert labels == ["Yes", "No"]
        assert probabilities == pytest.approx(PROBABILITIES, abs=1e-8)
    assert (backend.scored_by, backend.threshold) == ("card/logistic", 0.5)
    assert get_backend_info(backend) == {
        "backend_type": "logistic",
        "model_path": str(path),
        "model_type": "dict",
        "using_fallback": False,
        "fallback_path": None,
    }


def test_numbers_as_text_are_read_by_the_contract(path: Path) -> None:
    (path.parent / "total.json").write_text('{"tenure": 0, "TotalCharges": 0.01}')
    backend = load_model("logistic", path.parent / "total.json", contract=CUSTOMER)

    assert predict(backend, {**VALID, "TotalCharges": " "})[1] == [0.5]


def test_a_stored_version_brings_its_threshold_and_is_verified(own_version: ModelVersion) -> None:
    backend = load_model("logistic", own_version.path)
    assert (backend.scored_by, backend.threshold) == ("churn@1/logistic", THRESHOLD)
    assert backend.version == own_version

    (own_version.path / "weights.json").write_text("{}")
    with pytest.raises(ModelCorruptError, match=r"weights\.json: found sha256"):
        load_model("logistic", own_version.path)


def test_the_pipeline_of_the_version_stands_in(
    sklearn_version: ModelVersion, caplog: pytest.LogCaptureFixture
) -> None:
    backend = load_model("logistic", sklearn_version.path)

    assert backend.scored_by == "churn@1/sklearn"
    assert "Logistic model not used, falling back to sklearn: cause=the path does" in caplog.text
    with pytest.raises(ValueError, match=r"^Logistic model absent: .*; no fallback path specified"):
        load_model("logistic", "absent")


def test_a_model_set_by_hand_scores_without_loading() -> None:
    backend = LogisticBackend("by-hand")
    backend.model = {"tenure": 0.0}

    assert predict(backend, {"tenure": 3})[1] == [0.5]
    assert backend.scored_by == "dict/logistic"


def test_messages_and_choices_know_the_row(path: Path) -> None:
    with pytest.raises(ValueError, match=r"Must be 'sklearn' or 'spark', 'onnx' or 'sql', 'logis"):
        load_model("nonsense", path)
    assert choose_backend(path) == "logistic"


def test_auto_takes_it_only_where_its_row_has_a_rank(
    own_version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose_backend(own_version.path) == "sklearn"
    ranked = BackendKind("ranked", "Ranked", "weights.json", None, ROW.build, auto_rank=0)
    monkeypatch.setitem(BACKENDS, "ranked", ranked)
    assert choose_backend(own_version.path) == "ranked"


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="there is a backend 'logistic' already"):
        register(ROW)


def test_it_scores_frames_and_leaves_out_rows_on_which_it_raises(
    path: Path, spark: SparkSession
) -> None:
    backend = load_model("logistic", path)
    rows = [(10, 25.0, "a"), (99, 0.0, "b"), (60, 20.0, "c")]
    frame = spark.createDataFrame(rows, "tenure int, MonthlyCharges double, other string")

    scored = backend.with_probability(frame.coalesce(1))

    assert scored.columns == ["tenure", "MonthlyCharges", "other", "probability"]
    found = [row.probability for row in scored.orderBy("other").collect()]
    assert found == [0.5, None, pytest.approx(PROBABILITIES[1], abs=1e-8)]
    with pytest.raises(ModelMismatchError, match=r"without the columns \['tenure'\]"):
        backend.with_probability(frame.drop("tenure"))


def test_the_plan_of_the_stream_scores_with_it(path: Path, spark: SparkSession) -> None:
    from lib.stream.plan import score_records
    from tests.stream.test_plan import build_records

    backend = load_model("logistic", path, contract=CUSTOMER)
    route = find_route(
        is_native=backend.is_native,
        workers_decode=ROW.workers_decode,
        decoder="auto",
        committer="driver",
        is_real_time=False,
        is_local=True,
    )
    values = [json.dumps(it).encode() for it in CUSTOMERS] + [record(tenure=99), b"not JSON"]
    output = OutputSettings("out", "dead", "query")

    messages = score_records(build_records(spark, values), backend, CUSTOMER, output, route)
    first, second, raises, broken = messages.orderBy("source_offset").collect()

    assert [row.topic for row in (first, second, raises, broken)] == ["out", "out", "dead", "dead"]
    predictions = [Prediction.from_value(row.value, CUSTOMER) for row in (first, second)]
    assert [it.probability for it in predictions] == [0.5, 0.069138]
    assert [it.label for it in predictions] == ["Yes", "No"]
    assert {it.model for it in predictions} == {"card/logistic"}
    processed = datetime.fromisoformat(predictions[0].processed)
    assert abs((processed - datetime.now(UTC)).total_seconds()) < 60
    assert (raises.value, broken.value) == (values[2], values[3])
