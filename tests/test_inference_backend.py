"""The functions and the command of the face work, and it needs no PySpark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pandas as pd
import pytest

from lib.inference_backend import (
    SPARK_AVAILABLE,
    ModelBackend,
    OnnxBackend,
    SklearnBackend,
    SparkBackend,
    get_backend_info,
    load_model,
    predict,
)
from lib.score.sample import main
from tests.score.conftest import save_version
from tests.score.models import build_customers, build_labels, fit_sklearn_pipeline
from tests.support.process import run_python
from tests.support.telco import CUSTOMER

if TYPE_CHECKING:
    from lib.store import ModelVersion

# This code makes every import of PySpark fail, as on a machine that does not have it.
WITHOUT_PYSPARK = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pyspark", "py4j", "pyarrow", "confluent_kafka"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""


class Half:
    """A model that says the same for every record; it knows no files, columns or thresholds."""

    threshold = 0.9

    def __init__(self, probability: float = 0.5) -> None:
        self.probability = probability

    def predict_proba(self, features: Any) -> Any:
        return [[1 - self.probability, self.probability]] * len(features)


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    customers = build_customers(300, seed=8)
    pipeline = fit_sklearn_pipeline(customers.assign(label=build_labels(customers)))
    path = tmp_path_factory.mktemp("face") / "churn.joblib"
    joblib.dump(pipeline, path)
    return path


@pytest.fixture(scope="module")
def stored(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    return save_version(
        tmp_path_factory.mktemp("face_store"),
        lambda folder: (folder / "pipeline.joblib").write_bytes(model_path.read_bytes()),
    )


def by_hand(model: Any) -> SklearnBackend:
    backend = SklearnBackend("by-hand")
    backend.model = model
    return backend


def test_model_is_loaded_by_the_name_of_its_backend(model_path: Path) -> None:
    backend = load_model("sklearn", str(model_path))
    assert isinstance(backend, SklearnBackend)
    assert (backend.backend_type, backend.model_type) == ("sklearn", "Pipeline")
    assert SPARK_AVAILABLE is True


@pytest.mark.parametrize("name", ["tensorflow", "", "SPARK", None])
def test_unknown_backend_is_refused(name: Any) -> None:
    expected = f"^Invalid backend type: {name}. Must be 'sklearn' or 'spark', 'onnx' or 'sql'$"
    with pytest.raises(ValueError, match=expected):
        load_model(name, "model.joblib")
    with pytest.raises(ValueError, match=r"^Invalid backend type: nonsense"):
        predict(by_hand(Half()), {"any": 1}, backend="nonsense")


def test_predict_may_insist_on_a_backend(model_path: Path) -> None:
    backend = by_hand(Half())
    predict(backend, {"any": 1}, backend="sklearn")
    with pytest.raises(ValueError, match="found a sklearn backend, expected spark"):
        predict(backend, {"any": 1}, backend="spark")
    fallen_back = load_model("spark", "absent", fallback_path=model_path)
    customers = build_customers(1, seed=1)
    assert predict(fallen_back, customers, backend="spark")[1] == pytest.approx(
        predict(fallen_back, customers, backend="sklearn")[1]
    )


@pytest.mark.parametrize("features", ["text", 3, None, ("a",), {1, 2}, np.zeros((2, 2))])
def test_features_of_another_type_are_refused(features: Any) -> None:
    with pytest.raises(ValueError, match=f"^Invalid features type: {type(features).__name__}"):
        predict(by_hand(Half()), features)


def test_list_of_anything_but_records_is_refused() -> None:
    items: Any = [{"any": 1}, 3]
    with pytest.raises(ValueError, match=r"^Invalid features type: list of int"):
        predict(by_hand(Half()), items)


def test_model_set_by_hand_scores_any_columns_without_loading() -> None:
    predictions, probabilities = predict(by_hand(Half(0.7)), [{"x": 1, "y": "z"}, {"x": 2}])
    assert list(predictions) == ["Yes", "Yes"]
    assert list(probabilities) == [0.7, 0.7]


@pytest.mark.parametrize(("probability", "label"), [(0.5, "Yes"), (0.4999, "No"), (0.95, "Yes")])
def test_threshold_is_one_half_where_nobody_states_one(probability: float, label: str) -> None:
    backend = by_hand(Half(probability))  # its own attribute `threshold` has no meaning here
    assert list(predict(backend, {"any": 1})[0]) == [label]
    assert backend.threshold == 0.5


@pytest.mark.parametrize(
    ("probability", "label"),
    [(0.3299996, "Yes"), (0.3299994, "No"), (0.33, "Yes"), (0.3300001, "Yes"), (1.0, "Yes")],
)
def test_the_label_is_that_of_the_stream_which_rounds_to_six_decimals(
    probability: float, label: str
) -> None:
    backend = by_hand(Half(probability))
    backend.threshold = 0.33

    assert predict(backend, {"any": 1}) == ([label], [probability])


def test_stored_version_states_the_threshold(stored: ModelVersion) -> None:
    backend = load_model("sklearn", stored.path)
    assert backend.threshold == 0.32
    _, probabilities = predict(backend, build_customers(50, seed=9))
    between = [p for p in probabilities if 0.32 <= p < 0.5]
    assert between
    labels = predict(backend, build_customers(50, seed=9))[0]
    assert [label == "Yes" for label in labels] == [p >= 0.32 for p in probabilities]


def test_info_of_sklearn_has_these_keys(model_path: Path) -> None:
    backend = SklearnBackend(model_path)
    expected = {
        "backend_type": "sklearn",
        "model_path": str(model_path),
        "model_type": None,
        "has_preprocessor": False,
        "preprocessor_path": None,
    }
    assert get_backend_info(backend) == expected
    backend.load()
    assert get_backend_info(backend) == {**expected, "model_type": "Pipeline"}
    configured = get_backend_info(SklearnBackend("m.joblib", "p.joblib"))
    assert (configured["has_preprocessor"], configured["preprocessor_path"]) == (True, "p.joblib")


def test_info_of_spark_has_these_keys() -> None:
    assert get_backend_info(SparkBackend("model", "fallback.joblib")) == {
        "backend_type": "spark",
        "model_path": "model",
        "model_type": None,
        "using_fallback": False,
        "fallback_path": "fallback.joblib",
        "spark_available": True,
    }


def test_backend_itself_is_abstract() -> None:
    abstract: Any = ModelBackend
    with pytest.raises(TypeError, match="abstract"):
        abstract("model.joblib")


def test_command_scores_a_sample_record(
    stored: ModelVersion, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(stored.path)]) == 0
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    _, (expected,) = predict(load_model("sklearn", stored.path), CUSTOMER.stand_ins)
    assert lines["probability"] == f"{expected:.6f}"
    assert lines["prediction"] == ("Yes" if expected >= 0.32 else "No")
    assert (lines["scored_by"], lines["threshold"]) == ("churn@1/sklearn", "0.32")
    assert (lines["backend_type"], lines["preprocessor_path"]) == ("sklearn", "-")


def test_command_asks_for_a_record_where_no_contract_says_what_one_is(
    model_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(model_path)]) == 1
    assert capsys.readouterr().err == (
        "error: the model is outside a store, so a record is needed: --record JSON\n"
    )


def test_command_scores_a_record_that_is_given(
    model_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = '{"tenure": 1}'
    assert main([str(model_path), "--record", record]) == 1
    assert "found records without the columns ['gender'," in capsys.readouterr().err
    whole = build_customers(1, seed=2).to_json(orient="records")
    assert main([str(model_path), "--record", whole]) == 0
    assert "probability" in capsys.readouterr().out


@pytest.mark.parametrize("model", ["absent.joblib", "absent@champion", "bad@name@x"])
def test_command_says_in_one_line_what_is_wrong(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([model]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_one_liner_loads_a_joblib_file_alone(model_path: Path) -> None:
    code = (
        "from lib.inference_backend import load_model; "
        f"load_model('sklearn', {str(model_path)!r}); print('ok')"
    )
    done = run_python("-c", code)
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_module_runs_as_a_command(model_path: Path) -> None:
    record = build_customers(1, seed=2).to_json(orient="records")
    done = run_python("-m", "lib.inference_backend", str(model_path), "--record", record)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("prediction")


def test_everything_but_spark_works_without_pyspark(model_path: Path) -> None:
    code = f"""{WITHOUT_PYSPARK}
import logging
logging.basicConfig(format="%(levelname)s %(message)s")
from lib import inference_backend as face
record = {CUSTOMER.stand_ins!r}
assert face.SPARK_AVAILABLE is False
plain = face.load_model("sklearn", {str(model_path)!r})
fallen_back = face.load_model("spark", "some/model", fallback_path={str(model_path)!r})
assert face.predict(plain, record)[1] == face.predict(fallen_back, record)[1]
info = face.get_backend_info(fallen_back)
print(info["using_fallback"], info["spark_available"], info["model_type"])
try:
    face.load_model("spark", "some/model")
except ValueError as error:
    print(error)
"""
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == "True False Pipeline"
    assert "PySpark is missing; no fallback path specified" in second
    assert "WARNING Spark model not used, falling back to sklearn: cause=PySpark" in done.stderr


def test_session_that_cannot_start_falls_back(model_path: Path, tmp_path: Path) -> None:
    (tmp_path / "spark_model").mkdir()
    code = f"""
from lib.inference_backend import get_backend_info, load_model
backend = load_model("spark", {str(tmp_path / "spark_model")!r}, fallback_path={str(model_path)!r})
print(get_backend_info(backend)["using_fallback"], backend.scored_by)
"""
    done = run_python("-c", code, JAVA_HOME=str(tmp_path / "no-java"))
    assert done.stdout == "True churn/sklearn\n"
    assert "cause=the session cannot start: " in done.stderr


class Standing:
    """A class that is no backend, but has all members that a backend needs."""

    def predict(self, features: pd.DataFrame) -> tuple[list[str], list[float]]:
        return ["left"] * len(features), [0.25] * len(features)


@pytest.mark.parametrize("features", [{"a": 1}, [{"a": 1}], pd.DataFrame([{"a": 1}])])
def test_anything_that_predicts_frames_can_stand_in_for_a_backend(features: Any) -> None:
    assert predict(Standing(), features) == (["left"], [0.25])


def test_a_stand_in_is_no_backend_of_a_name() -> None:
    with pytest.raises(ValueError, match="found a Standing backend, expected onnx"):
        predict(Standing(), {"a": 1}, backend="onnx")


def test_loading_returns_the_model(model_path: Path) -> None:
    backend = SklearnBackend(model_path)
    assert backend.load() is backend.model is not None
    fallen_back = OnnxBackend("absent.onnx", model_path)
    assert fallen_back.load() is fallen_back.model is not None


def test_a_backend_can_be_told_to_fall_back(model_path: Path) -> None:
    model = SklearnBackend(model_path).load()
    customers = build_customers(3, seed=2)
    expected = predict(load_model("sklearn", model_path), customers)
    for set_first in (True, False):
        backend = SparkBackend("some/model")
        if set_first:
            backend.model = model
            backend.using_fallback = True
        else:
            backend.using_fallback = True
            backend.model = model
        assert backend.using_fallback
        assert backend.model is model
        assert predict(backend, customers) == expected
        assert predict(backend, customers, backend="sklearn") == expected
        backend.using_fallback = False
        assert not backend.using_fallback
        assert backend.model is model
