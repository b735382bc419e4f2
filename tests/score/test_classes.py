"""The positive class is known, or somebody has said it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib.errors import ModelError, ModelMismatchError
from lib.inference_backend import load_model, predict
from lib.score.admission.classes import find_positive
from tests.score.conftest import save_version
from tests.support.telco import CUSTOMER

NUMBERS = ["tenure", "MonthlyCharges"]
# This customer leaves, and the other one stays.
LEAVING = {"tenure": 1, "MonthlyCharges": 110.0}
STAYING = {"tenure": 70, "MonthlyCharges": 20.0}


@pytest.mark.parametrize(
    ("classes", "told", "position"),
    [
        (["No", "Yes"], None, 1),
        (["Yes", "No"], None, 0),
        (np.array(["No", "Yes"], object), None, 1),
        ([0, 1], None, 1),
        ([1, 0], None, 0),
        (np.array([0.0, 1.0]), None, 1),
        (["0", "1"], None, 1),
        ([False, True], None, 1),
        (np.array([True, False]), None, 0),
        (["true", "false"], None, 0),
        (["Churned", "Stayed"], "Churned", 0),
        (["Churned", "Stayed"], "Stayed", 1),
        ([-1, 1], "-1", 0),
        ([-1.0, 1.0], "1", 1),
        ([0, 1], "0", 0),
        (None, "1", 1),
        (None, "0", 0),
    ],
)
def test_the_positive_class_is_known_or_told(classes: Any, told: str | None, position: int) -> None:
    assert find_positive(classes, CUSTOMER, told, "m/sklearn") == position


@pytest.mark.parametrize(
    ("classes", "told", "expected"),
    [
        (
            ["Churned", "Stayed"],
            None,
            r"^m/sklearn: found the classes 'Churned' and 'Stayed', expected the labels 'No' and"
            r" 'Yes' or 0 and 1 \(name the class that means 'Yes': --positive-class Stayed, or"
            r" load_model\(positive_class='Stayed'\)\)$",
        ),
        ([-1, 1], None, "found the classes '-1' and '1', expected the labels 'No' and 'Yes'"),
        ([1, 2], None, "found the classes '1' and '2', expected"),
        (["No", "Maybe"], None, "found the classes 'No' and 'Maybe', expected"),
        (["Yes", "1"], None, "found the classes 'Yes' and '1', expected"),
        ([0, 1], "Yes", "found the classes '0' and '1', expected one named 'Yes'"),
        ([0, 1, 2], None, r"found a model of 3 classes \('0' and '1' and '2'\), expected two"),
        ([0, 1, 2], "1", "found a model of 3 classes"),
        (["Yes"], None, r"found a model of 1 classes \('Yes'\), expected two"),
        ([], None, r"found a model of 0 classes \(\), expected two"),
        (None, None, "found a model that does not name its classes, expected the position"),
        (None, "Yes", "does not name its classes and --positive-class Yes, expected the position"),
    ],
)
def test_a_class_that_is_not_known_is_not_guessed(
    classes: Any, told: str | None, expected: str
) -> None:
    with pytest.raises(ModelMismatchError, match=expected):
        find_positive(classes, CUSTOMER, told, "m/sklearn")


def fit(labels: Any) -> Any:
    rows = pd.DataFrame([LEAVING, STAYING] * 20, columns=NUMBERS)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, list(labels) * 20)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (("Yes", "No"), None),
        ((1, 0), None),
        ((True, False), None),
        (("Churned", "Stayed"), "Churned"),
        (("left", "alive"), "left"),
        ((-1, 1), "-1"),
    ],
)
def test_a_model_gives_the_probability_of_the_positive_label_whatever_its_classes_are_called(
    tmp_path: Path, labels: tuple[Any, Any], told: str | None
) -> None:
    model = fit(labels)
    joblib.dump(model, tmp_path / "m.joblib")
    makers = model.predict_proba(pd.DataFrame([LEAVING, STAYING]))
    position = list(model.classes_).index(labels[0])

    backend = load_model("sklearn", tmp_path / "m.joblib", contract=CUSTOMER, positive_class=told)
    predictions, probabilities = predict(backend, [LEAVING, STAYING])

    assert predictions == ["Yes", "No"]
    assert probabilities == makers[:, position].tolist()
    assert probabilities[0] > 0.9 > 0.1 > probabilities[1]


def test_a_version_records_the_class_and_lets_nobody_say_another(tmp_path: Path) -> None:
    model = fit(("Churned", "Stayed"))
    version = save_version(
        tmp_path,
        lambda folder: joblib.dump(model, folder / "pipeline.joblib"),
        positive_class="Churned",
    )

    backend = load_model("sklearn", version.path)

    assert predict(backend, LEAVING)[0] == ["Yes"]
    assert load_model("sklearn", version.path, positive_class="Churned").threshold == 0.32
    expected = r"churn@1: found --positive-class Stayed, expected Churned, as the version has"
    with pytest.raises(ModelMismatchError, match=expected):
        load_model("sklearn", version.path, positive_class="Stayed")


def test_the_threshold_of_a_classifier_is_its_own(tmp_path: Path) -> None:
    rows, labels = pd.DataFrame([LEAVING, STAYING] * 20, columns=NUMBERS), ["Yes", "No"] * 20
    fixed = FixedThresholdClassifier(
        LogisticRegression(), threshold=0.7, response_method="predict_proba", pos_label="Yes"
    ).fit(rows, labels)
    tuned = TunedThresholdClassifierCV(
        LogisticRegression(),
        scoring="accuracy",
        response_method="predict_proba",
        thresholds=[0.2, 2.0],
    ).fit(rows, [int(it == "Yes") for it in labels])
    within = make_pipeline(StandardScaler(), fixed).fit(rows, labels)
    joblib.dump(fixed, tmp_path / "fixed.joblib")
    joblib.dump(tuned, tmp_path / "tuned.joblib")
    joblib.dump(within, tmp_path / "within.joblib")

    found = [
        load_model("sklearn", tmp_path / f"{name}.joblib", contract=CUSTOMER).threshold
        for name in ("fixed", "tuned", "within")
    ]

    assert found == [0.7, 0.2, 0.7]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"pos_label": "No"}, r"found a threshold for predict_proba of class 'No', expected one"),
        ({"response_method": "decision_function"}, r"found a threshold for decision_function of"),
    ],
)
def test_a_threshold_for_something_else_is_refused(
    tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    rows, labels = pd.DataFrame([LEAVING, STAYING] * 20, columns=NUMBERS), ["Yes", "No"] * 20
    options = {"response_method": "predict_proba", "pos_label": "Yes", **changes}
    model = FixedThresholdClassifier(LogisticRegression(), threshold=0.7, **options)
    joblib.dump(model.fit(rows, labels), tmp_path / "m.joblib")
    with pytest.raises(ModelError, match=expected):
        load_model("sklearn", tmp_path / "m.joblib", contract=CUSTOMER)
