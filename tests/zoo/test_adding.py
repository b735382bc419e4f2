"""Files of other libraries become versions that score as their makers do; no code runs unasked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from lib.errors import ModelError, SettingsError
from lib.inference_backend import load_model, predict
from lib.store import ModelStore
from tests.support.small_loan import NUMBERS
from tests.zoo.conftest import Run
from tests.zoo.models import make_plain_model
from tests.zoo.test_zoo import CATEGORIES, CODES, ROWS, boost, fit, pipe, save_with_mlflow


def save_skops(model: Any, path: Path) -> None:
    import skops.io  # type: ignore[import-not-found]

    skops.io.dump(model, path)


def save_own(model: Any, path: Path) -> None:
    model.save_model(str(path))


def save_folder(flavour: str, **options: Any) -> Callable[[Any, Path], None]:
    return lambda model, path: save_with_mlflow(flavour, model, path, **options)


Make = Callable[[], Any]
Save = Callable[[Any, Path], Any]
# Name → what makes a fitted model, the frame that its maker scores, its file, what saves it, and
# whether its file can run code.
FILES: dict[str, tuple[Make, pd.DataFrame, str, Save, bool]] = {
    "scikit-learn by skops": (make_plain_model, ROWS, "m.skops", save_skops, False),
    "LightGBM by skops": (
        lambda: fit(boost("lightgbm"), ROWS[NUMBERS]),
        ROWS[NUMBERS],
        "m.skops",
        save_skops,
        False,
    ),
    "XGBoost's own file": (
        lambda: fit(boost("xgboost", enable_categorical=True), CATEGORIES, CODES),
        CATEGORIES,
        "m.ubj",
        save_own,
        False,
    ),
    "CatBoost's own file": (
        lambda: fit(boost("catboost", cat_features=["purpose"]), ROWS),
        ROWS,
        "m.cbm",
        save_own,
        False,
    ),
    "a folder of MLflow's with skops": (
        make_plain_model,
        ROWS,
        "folder",
        save_folder("sklearn", serialization_format="skops"),
        False,
    ),
    "a folder of MLflow's of XGBoost": (
        lambda: fit(boost("xgboost"), ROWS[NUMBERS], CODES),
        ROWS[NUMBERS],
        "folder",
        save_folder("xgboost"),
        False,
    ),
    "a folder of MLflow's with a pickle": (
        lambda: pipe(LogisticRegression()),
        ROWS,
        "folder",
        save_folder("sklearn", serialization_format="cloudpickle"),
        True,
    ),
    "a pickle": (
        lambda: pipe(LogisticRegression()),
        ROWS,
        "m.pkl",
        lambda model, path: joblib.dump(model, path),
        True,
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_added_and_scores_as_its_maker_does(
    run: Run, store: ModelStore, tmp_path: Path, name: str
) -> None:
    make, rows, file, save, runs_code = FILES[name]
    model = make()
    save(model, tmp_path / file)
    positive = [str(it) for it in model.classes_].index("lost" if "lost" in model.classes_ else "1")
    makers = model.predict_proba(rows)[:, positive]
    golden = tmp_path / "golden.csv"
    # A CSV file has booleans as true and false.
    flags = np.where(ROWS["married"] == 1, "true", "false")
    expected = ROWS.assign(id="a", married=flags, probability=makers)
    expected.head(40).to_csv(golden, index=False)

    if runs_code:
        with pytest.raises(SettingsError, match="can run any code of its maker"):
            run("add", tmp_path / file)
        assert store.names() == []
    run("add", tmp_path / file, "--expect", golden, *(["--trust"] if runs_code else []))

    version = store.resolve("loan@champion")
    origin = version.metadata.origin
    assert origin is not None
    assert ("trusted" in origin) == runs_code
    assert origin["expected"] == {"file": "golden.csv", "records": 40, "within": 1e-6}
    found = predict(load_model("sklearn", version.path), ROWS)[1]
    np.testing.assert_allclose(found, makers, rtol=0, atol=1e-6)


def test_a_skops_file_with_types_of_its_maker_is_refused_with_trust_too(
    run: Run, store: ModelStore, tmp_path: Path
) -> None:
    save_skops(pipe(LogisticRegression()), tmp_path / "m.skops")
    expected = r"m\.skops: found the types tests\.zoo\.test_zoo\.fill, expected only those"
    with pytest.raises(ModelError, match=expected):
        run("add", tmp_path / "m.skops", "--trust")
    assert store.names() == []
