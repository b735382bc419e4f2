"""ONNX graphs over named columns score without Spark."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lib.errors import (
    ModelCorruptError,
    ModelError,
    ModelMismatchError,
    NoProbabilityError,
    SetupError,
)
from lib.inference_backend import OnnxBackend, get_backend_info, load_model, predict
from lib.score.backends.onnx.model import OnnxModel
from lib.score.workers.failures import FailureTally
from lib.score.workers.halves import ColumnRows, score_batch
from tests.score.conftest import save_version
from tests.score.models import (
    UNKNOWN_TENURE,
    build_customers,
    export_fussy_onnx,
    fit_fussy_pipeline,
)
from tests.support.telco import CUSTOMER

CUSTOMERS = build_customers(50, seed=3)


@pytest.fixture(scope="module")
def model(onnx_path: Path) -> OnnxModel:
    return OnnxModel(onnx_path.read_bytes(), "churn")


def as_arrow(customers: pd.DataFrame) -> dict[str, pa.Array]:
    return {str(name): pa.array(column) for name, column in customers.items()}


def test_frames_and_arrow_columns_score_alike(model: OnnxModel) -> None:
    by_frame = model.score_frame(CUSTOMERS)
    assert by_frame.tolist() == model.score_arrow(as_arrow(CUSTOMERS)).tolist()
    assert by_frame.dtype == np.float64


def test_arrow_dictionaries_score_like_strings(model: OnnxModel) -> None:
    columns = as_arrow(CUSTOMERS)
    encoded = columns | {"gender": columns["gender"].dictionary_encode()}
    assert model.score_arrow(encoded).tolist() == model.score_arrow(columns).tolist()


def test_nulls_are_unseen_categories_and_no_numbers(model: OnnxModel) -> None:
    columns = as_arrow(CUSTOMERS.iloc[:3])
    columns["gender"] = pa.array(["Male", None, "Male"])
    columns["tenure"] = pa.array([1, 2, None], pa.int64())
    odd = CUSTOMERS.iloc[:3].assign(gender="never seen", tenure=[1, 2, 3])

    found = model.score_arrow(columns)

    assert np.isnan(found).tolist() == [False, False, True]
    assert found[1] == model.score_frame(odd)[1]


@pytest.mark.parametrize(("name", "value"), [("tenure", 12.5), ("MonthlyCharges", np.inf)])
def test_what_the_graph_would_round_gets_no_probability(
    model: OnnxModel, name: str, value: float
) -> None:
    odd = CUSTOMERS.astype({"tenure": "float64"})
    odd.loc[1, name] = value
    assert np.isnan(model.score_frame(odd)).tolist() == [row == 1 for row in range(50)]


def test_missing_columns_are_named(model: OnnxModel) -> None:
    with pytest.raises(ModelMismatchError, match=r"without the columns \['Contract'\]"):
        model.score_frame(CUSTOMERS.drop(columns="Contract"))


def test_text_columns_work_too(training: pd.DataFrame, sklearn_pipeline: Any) -> None:
    from skl2onnx import to_onnx  # type: ignore[import-untyped]  # skl2onnx has no types
    from skl2onnx.common.data_types import (  # type: ignore[import-untyped]
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )

    kinds = {"str": StringTensorType, "int": Int64TensorType, "float": FloatTensorType}
    inputs = [
        (name, kinds[type(training[name].tolist()[0]).__name__]([None, 1]))
        for name in CUSTOMER.feature_names
    ]
    graph = to_onnx(
        sklearn_pipeline, initial_types=inputs, options={"zipmap": False}
    ).SerializeToString()

    found = OnnxModel(graph, "text").score_frame(CUSTOMERS)

    expected = sklearn_pipeline.predict_proba(CUSTOMERS)[:, 1]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_bytes_that_are_no_graph_are_refused() -> None:
    with pytest.raises(ModelError, match="broken: onnxruntime cannot open it"):
        OnnxModel(b"no graph", "broken")


def test_a_graph_without_probabilities_is_refused() -> None:
    import onnx
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])
    other = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 3])
    three = helper.make_node("Concat", ["x", "x", "x"], ["y"], axis=1)
    graph = helper.make_graph([three], "g", [value], [other])
    content = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=onnx.IR_VERSION_2023_5_5
    ).SerializeToString()
    expected = (
        r"identity: found the outputs y \(tensor\(float\), shape \[None, 3\]\), expected one with"
        r" probabilities of two classes"
    )
    with pytest.raises(ModelMismatchError, match=expected):
        OnnxModel(content, "identity")


def test_a_provider_that_is_not_there_is_refused(onnx_path: Path, joblib_path: Path) -> None:
    backend = OnnxBackend(onnx_path, joblib_path, provider="cuda")
    with pytest.raises(SetupError, match=r"no CUDAExecutionProvider.*onnxruntime-gpu"):
        backend.load()


def test_missing_onnxruntime_falls_back(
    onnx_path: Path,
    joblib_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    backend = OnnxBackend(onnx_path, joblib_path)
    backend.load()
    assert backend.using_fallback
    assert backend.scored_by == "churn_lr/sklearn"
    assert "ONNX model not used, falling back to sklearn: cause=onnxruntime is not" in caplog.text


def test_a_file_that_is_missing_is_an_error_without_a_warning_before_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The model that would stand in is missing too, so there is no fallback to warn of."""
    backend = OnnxBackend(tmp_path / "none.onnx", tmp_path / "none.onnx")

    with pytest.raises(FileNotFoundError, match=r"none\.onnx"):
        backend.load()

    assert caplog.messages == []


def test_a_version_without_it_falls_back_to_its_pipeline(
    sklearn_pipeline: Any, tmp_path: Path
) -> None:
    import joblib

    version = save_version(
        tmp_path, lambda to: joblib.dump(sklearn_pipeline, to / "pipeline.joblib")
    )
    backend = load_model("onnx", version.path)
    info = get_backend_info(backend)
    assert (info["backend_type"], info["using_fallback"]) == ("onnx", True)
    assert backend.scored_by == "churn@1/sklearn"


def test_an_altered_graph_of_a_version_is_refused(onnx_path: Path, tmp_path: Path) -> None:
    version = save_version(
        tmp_path, lambda to: (to / "pipeline.onnx").write_bytes(onnx_path.read_bytes())
    )
    file = version.path / "pipeline.onnx"
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(ModelCorruptError):
        load_model("onnx", version.path)


def test_a_version_brings_its_threshold_and_name(onnx_path: Path, tmp_path: Path) -> None:
    version = save_version(
        tmp_path, lambda to: (to / "pipeline.onnx").write_bytes(onnx_path.read_bytes())
    )
    backend = load_model("onnx", version.path)
    assert backend.scored_by == "churn@1/onnx"
    assert backend.threshold == 0.32
    assert len(predict(backend, CUSTOMERS, backend="onnx")[1]) == 50


def test_rows_on_which_the_graph_fails_are_isolated_and_nothing_is_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    pipeline = fit_fussy_pipeline()
    model = OnnxModel(export_fussy_onnx(pipeline), "fussy")
    customers = CUSTOMERS.replace({"tenure": {UNKNOWN_TENURE: 0}})
    customers.loc[[3, 40], "tenure"] = UNKNOWN_TENURE
    sound = customers["tenure"] != UNKNOWN_TENURE
    expected = np.full(50, np.nan)
    expected[sound] = pipeline.predict_proba(customers[sound])[:, 1]
    capfd.readouterr()

    frames = score_batch(model.score_frame, customers, FailureTally("fussy/onnx"))
    arrow = score_batch(
        lambda rows: model.score_arrow(rows.columns),
        ColumnRows(as_arrow(customers)),
        FailureTally("fussy/onnx"),
    )

    np.testing.assert_allclose(frames.probabilities, expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(arrow.probabilities, frames.probabilities)
    assert frames.failures == arrow.failures
    assert frames.failures.keys() == {3, 40}
    assert {text.partition(": ")[0] for text in frames.failures.values()} == {"Fail"}
    assert all("Unknown Category and zeros" in text for text in frames.failures.values())
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["onnx", "sklearn"])
@pytest.mark.parametrize("position", [0, 2, 4])
def test_predict_names_the_first_row_on_which_a_model_fails(
    tmp_path: Path, name: str, position: int
) -> None:
    pipeline = fit_fussy_pipeline()
    joblib.dump(pipeline, tmp_path / "fussy.sklearn")
    (tmp_path / "fussy.onnx").write_bytes(export_fussy_onnx(pipeline))
    backend = load_model(name, tmp_path / f"fussy.{name}", contract=CUSTOMER)
    customers = CUSTOMERS[:5].assign(tenure=1)
    customers.iloc[position:, list(customers.columns).index("tenure")] = UNKNOWN_TENURE
    words = {
        "onnx": r"Fail: \[ONNXRuntimeError\] .* Unknown Category and zeros = ",
        "sklearn": r"ValueError: Found unknown categories \[np\.int64\(…\)\] in column",
    }

    for features in (customers, cast("list[dict[str, Any]]", customers.to_dict("records"))):
        with pytest.raises(NoProbabilityError) as caught:
            predict(backend, features)
        place = f"fussy/{name}: the model failed on the row at position {position} of 5: "
        assert caught.value.message.startswith(place)
        assert re.match(words[name], caught.value.message.removeprefix(place))
