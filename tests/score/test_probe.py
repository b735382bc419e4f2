"""A model that cannot score what the contract allows is refused before the first record."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from lib.errors import ModelMismatchError
from lib.inference_backend import load_model, predict
from lib.score.admission.probe import design_records, probe
from lib.store import Probed
from tests.support.small_loan import CONTRACT, NUMBERS

RNG = np.random.default_rng(5)
ROWS = pd.DataFrame(
    {
        "purpose": RNG.choice(["car", "house", "other"], 200),
        "income": RNG.uniform(0, 1000, 200),
        "years": RNG.integers(1, 41, 200),
        "married": RNG.integers(0, 2, 200),
    }
)
LABELS = np.where(ROWS["income"] / 1000 + RNG.uniform(0, 1, 200) < 0.9, "lost", "paid")


def encode(numbers: Any = None, **options: Any) -> Any:
    return make_column_transformer(
        (OneHotEncoder(**options), ["purpose"]), (numbers or StandardScaler(), NUMBERS)
    )


def fill(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.fillna(0.0)


def make_whole(rows: pd.DataFrame) -> Any:
    """Divide by the mean of the batch, which a model must not do."""
    return rows.fillna(0.0) / rows.fillna(0.0).to_numpy().mean()


def measure_text(rows: pd.DataFrame) -> Any:
    return rows["years"].str.len().to_frame()


def pick_income(rows: pd.DataFrame) -> Any:
    return rows[["income"]].fillna(0.0).to_numpy()


GOOD = make_pipeline(encode(FunctionTransformer(fill)), LogisticRegression(max_iter=5_000))


def run(model: Any, path: Path, **options: Any) -> Probed:
    joblib.dump(model, path / "m.joblib")
    return probe(load_model("sklearn", path / "m.joblib", contract=CONTRACT, **options), CONTRACT)


def test_the_designed_records_are_the_stand_ins_with_each_other_value_in_turn() -> None:
    design = design_records(CONTRACT)
    assert design.changes == (
        "the stand-ins",
        "the stand-ins with purpose = 'house'",
        "the stand-ins with purpose = 'other'",
        "the stand-ins with income = 1000.0",
        "the stand-ins with income = None",
        "the stand-ins with years = 40.0",
        "the stand-ins with married = 1",
    )
    assert json.loads(design.rows.to_json(orient="values")) == [
        ["car", 0.0, 1, 0],
        ["house", 0.0, 1, 0],
        ["other", 0.0, 1, 0],
        ["car", 1000.0, 1, 0],
        ["car", None, 1, 0],
        ["car", 0.0, 40, 0],
        ["car", 0.0, 1, 1],
    ]
    assert [str(it) for it in design.rows.dtypes] == ["object", "float64", "int64", "int64"]


def test_a_model_that_scores_them_all_is_taken(tmp_path: Path) -> None:
    assert run(GOOD.fit(ROWS, LABELS), tmp_path) == Probed("m/sklearn", 7)


def drop_an_attribute() -> Any:
    model = GOOD.fit(ROWS, LABELS)
    del model.steps[-1][1].coef_  # like a pickle of another scikit-learn
    return model


BROKEN: dict[str, tuple[Callable[[], Any], str]] = {
    "a value that the model has not seen": (
        lambda: make_pipeline(
            encode(FunctionTransformer(fill)), LogisticRegression(max_iter=5_000)
        ).fit(ROWS[ROWS["purpose"] != "other"], LABELS[ROWS["purpose"] != "other"]),
        r"^m/sklearn: found no probability for the stand-ins with purpose = 'other', which contract"
        r" loan allows: ValueError: Found unknown categories \['other'\] in column 0 during",
    ),
    "a missing number that the model does not take": (
        lambda: make_pipeline(encode(), LogisticRegression(max_iter=5_000)).fit(ROWS, LABELS),
        r"for the stand-ins with income = None, which contract loan allows: ValueError: Input X"
        r" contains NaN",
    ),
    "an attribute that is not there": (
        drop_an_attribute,
        r"for the stand-ins, which contract loan allows: AttributeError: .* 'coef_'",
    ),
    "an encoded matrix": (
        lambda: GaussianNB().fit(pd.get_dummies(ROWS), LABELS),
        r"found records without the columns \['purpose_car', 'purpose_house', 'purpose_other'\]",
    ),
    "text where the stream gives numbers": (
        lambda: make_pipeline(FunctionTransformer(measure_text), GaussianNB()).fit(
            ROWS.astype({"years": str}), LABELS
        ),
        r"for the stand-ins, which contract loan allows: AttributeError: Can only use .str",
    ),
    "a mean of the batch": (
        lambda: make_pipeline(
            encode(FunctionTransformer(make_whole)), LogisticRegression(max_iter=5_000)
        ).fit(ROWS, LABELS),
        r"found the probability 0\.\d+ for a record alone and 0\.\d+ for the same record among",
    ),
    "columns by position": (
        lambda: GaussianNB().fit(ROWS[NUMBERS].fillna(0).to_numpy(), LABELS),
        r"^m/sklearn: found a model that takes its columns by their order and knows no names,",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_model_that_cannot_score_is_refused_with_the_record_and_the_reason(
    tmp_path: Path, case: str
) -> None:
    make, expected = BROKEN[case]
    with pytest.raises(ModelMismatchError, match=expected):
        run(make(), tmp_path)


# ------------------------------------------------------------------------- columns by position


INCOME, YEARS = CONTRACT.field("income"), CONTRACT.field("years")
NUMERIC = replace(CONTRACT, name="numbers", features=(replace(INCOME, nullable=False), YEARS))


def test_a_model_without_names_is_refused_until_somebody_names_its_columns(tmp_path: Path) -> None:
    model = GaussianNB().fit(ROWS[["years", "income"]].to_numpy(), LABELS)
    joblib.dump(model, tmp_path / "m.joblib")
    record = {"income": 900.0, "years": 3}
    makers = model.predict_proba([[3, 900.0]])[0][0]  # "lost" comes before "paid"

    expected = r"takes its columns by their order and knows no names, .*--columns A,B"
    with pytest.raises(ModelMismatchError, match=expected):
        probe(load_model("sklearn", tmp_path / "m.joblib", contract=NUMERIC), NUMERIC)

    named = load_model(
        "sklearn", tmp_path / "m.joblib", contract=NUMERIC, columns=["years", "income"]
    )
    assert probe(named, NUMERIC).rows == 3
    assert predict(named, record)[1] == [makers]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["years"], r"found 1 names in --columns, expected 2: the model takes so many"),
        (["years", "income", "id"], r"found 3 names in --columns, expected 2"),
    ],
)
def test_names_for_another_width_are_refused(
    tmp_path: Path, columns: list[str], expected: str
) -> None:
    model = GaussianNB().fit(ROWS[["years", "income"]].to_numpy(), LABELS)
    joblib.dump(model, tmp_path / "m.joblib")
    with pytest.raises(ModelMismatchError, match=expected):
        load_model("sklearn", tmp_path / "m.joblib", contract=NUMERIC, columns=columns)


def test_other_names_than_those_that_the_model_knows_are_refused(tmp_path: Path) -> None:
    joblib.dump(GaussianNB().fit(ROWS[["years", "income"]], LABELS), tmp_path / "m.joblib")
    expected = r"found \['income', 'years'\] in --columns, expected \['years', 'income'\], which"
    with pytest.raises(ModelMismatchError, match=expected):
        load_model("sklearn", tmp_path / "m.joblib", contract=NUMERIC, columns=["income", "years"])


def test_a_model_that_finds_its_columns_by_name_needs_no_names(tmp_path: Path) -> None:
    joblib.dump(
        make_pipeline(FunctionTransformer(pick_income), GaussianNB()).fit(ROWS, LABELS),
        tmp_path / "m.joblib",
    )
    backend = load_model("sklearn", tmp_path / "m.joblib", contract=CONTRACT)
    assert probe(backend, CONTRACT).rows == 7


class Nameless:
    """A model that names no classes."""

    def predict_proba(self, features: pd.DataFrame) -> Any:
        return np.full((len(features), 2), 0.5)


def test_a_job_takes_no_model_whose_positive_class_is_guessed(tmp_path: Path) -> None:
    expected = "m/sklearn: found a model that does not name its classes, expected the position of"
    with pytest.raises(ModelMismatchError, match=expected):
        run(Nameless(), tmp_path)
    assert run(Nameless(), tmp_path, positive_class="1").rows == 7


def test_a_job_takes_no_fallback_whose_positive_class_is_guessed(tmp_path: Path) -> None:
    joblib.dump(Nameless(), tmp_path / "m.joblib")
    backend = load_model(
        "onnx",
        tmp_path / "absent.onnx",
        fallback_path=tmp_path / "m.joblib",
        contract=CONTRACT,
    )
    assert backend.using_fallback
    with pytest.raises(ModelMismatchError, match="m/sklearn: found a model that does not name its"):
        probe(backend, CONTRACT)
