"""Training derives what each field adds to the score of a linear model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from lib.errors import ModelCorruptError, ModelError, SettingsError
from lib.inference_backend import load_model
from lib.messages.effects import Effects, add_up
from lib.record.contract import Contract
from lib.record.contract_file import read_contract
from lib.store.version import EFFECTS_ARTEFACT
from lib.stream.reasons import find_reasons
from lib.synth import draw_features
from lib.training.data import make_training_data
from lib.training.effects import derive_effects
from lib.training.encoding import Encoding, build_encoding
from lib.training.sklearn_pipeline import build_sklearn_pipeline
from tests.score.conftest import save_version
from tests.support.telco import CUSTOMER

LOAN = read_contract(Path(__file__).parents[1] / "domains" / "loan.toml")


def fit_loan() -> Pipeline:
    rows = draw_features(LOAN, 400, 3)
    labels = (np.random.default_rng(1).uniform(size=400) < 0.4).astype(int)
    return build_sklearn_pipeline(LOAN).fit(rows, labels)


def test_the_effects_and_the_base_are_the_log_odds_for_missing_values_too() -> None:
    pipeline, rows = fit_loan(), draw_features(LOAN, 500, 9)
    effects = derive_effects(pipeline, draw_features(LOAN, 400, 3), LOAN)
    assert effects is not None
    log_odds = np.array(add_up(effects, {str(k): it.tolist() for k, it in rows.items()}))
    expected = pipeline.predict_proba(rows)[:, 1]
    np.testing.assert_allclose(1 / (1 + np.exp(-log_odds)), expected, rtol=0, atol=1e-12)
    assert rows.isna().any().any()


def test_around_the_mean_of_the_training_the_effects_of_a_field_are_zero() -> None:
    rows = draw_features(LOAN, 400, 3)
    effects = derive_effects(fit_loan(), rows, LOAN)
    assert effects is not None
    for it in effects.fields:
        mean = np.mean([it.find(value) for value in rows[it.name].tolist()])
        assert mean == pytest.approx(0.0, abs=1e-12), it.name


def test_another_model_than_a_linear_one_has_no_effects() -> None:
    data = make_training_data(200, seed=1, contract=CUSTOMER)
    *steps, _ = build_sklearn_pipeline(CUSTOMER).steps
    tree = Pipeline([*steps, ("classify", DecisionTreeClassifier(max_depth=2))])
    fitted = tree.fit(data.features, data.labels)
    assert derive_effects(fitted, data.features, CUSTOMER) is None


def test_effects_that_do_not_add_up_to_the_score_end_the_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = make_training_data(200, seed=1, contract=CUSTOMER)
    pipeline = build_sklearn_pipeline(CUSTOMER).fit(data.features, data.labels)
    # As if the encoding had another order than the model's columns.
    monkeypatch.setattr("lib.training.effects.build_encoding", lambda it: reverse(it))
    expected = r"found the sum of its effects 0\.\d+ apart in probability, expected at most 1e-06"
    with pytest.raises(ModelError, match=expected):
        derive_effects(pipeline, data.features, CUSTOMER)


def reverse(contract: Contract) -> Encoding:
    encoding = build_encoding(contract)
    return replace(encoding, indicators=encoding.indicators[::-1])


def test_a_model_without_effects_is_refused_and_a_damaged_file_too(tmp_path: Path) -> None:
    data = make_training_data(200, seed=1, contract=CUSTOMER)
    pipeline = build_sklearn_pipeline(CUSTOMER).fit(data.features, data.labels)
    bare = save_version(
        tmp_path / "bare", lambda folder: joblib.dump(pipeline, folder / "pipeline.joblib")
    )
    expected = r"--reasons 3, model churn@1/sklearn: found no effects\.json in it, expected"
    with pytest.raises(SettingsError, match=expected):
        find_reasons(load_model("sklearn", bare.path), 3)
    outside = load_model("sklearn", bare.path / "pipeline.joblib")
    assert find_reasons(outside, 0) is None

    def write(folder: Path) -> None:
        joblib.dump(pipeline, folder / "pipeline.joblib")
        effects = derive_effects(pipeline, data.features, CUSTOMER)
        assert effects is not None
        (folder / EFFECTS_ARTEFACT).write_text(effects.to_json())

    whole = save_version(tmp_path / "whole", write)
    reasons = find_reasons(load_model("sklearn", whole.path), 3)
    assert reasons is not None
    assert (reasons.count, len(reasons.effects.fields)) == (3, 19)
    (whole.path / EFFECTS_ARTEFACT).write_text("{}")
    with pytest.raises(ModelCorruptError, match="sha256"):
        find_reasons(load_model("sklearn", whole.path / "pipeline.joblib"), 3)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"base": 1}', '{"base": "x", "fields": [{}]}'])
def test_text_that_holds_no_effects_is_refused(text: str) -> None:
    with pytest.raises(ModelCorruptError, match=r"effects\.json: found no effects"):
        Effects.from_json(text, "effects.json")
