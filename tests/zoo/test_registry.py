"""Models that are registered on a real server of MLflow come into the store by their alias."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from lib.errors import ModelMismatchError, ModelNotFoundError, SettingsError
from lib.inference_backend import load_model, predict
from lib.store import ModelStore
from tests.zoo.conftest import Run
from tests.zoo.models import make_plain_model
from tests.zoo.test_zoo import PLAIN, ROWS, fit, pipe

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a server of MLflow, and return its address."""
    script, folder = Path(__file__).with_name("mlflow_server.py"), tmp_path_factory.mktemp("mlflow")
    log = folder / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, str(script), str(folder)],
            env={**os.environ, **QUIET, "HOME": str(folder)},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            port = process.stdout.readline().strip()
            assert port, log.read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture(autouse=True)
def address(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the server as users of MLflow do."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)


def register(server: str, name: str, model: Any, folder: Path | None = None, **options: Any) -> str:
    """Log a model with its signature, register it, name it champion, and return its run."""
    import mlflow  # type: ignore[import-not-found]
    from mlflow.models import infer_signature  # type: ignore[import-not-found]

    mlflow.set_tracking_uri(server)
    experiment = mlflow.create_experiment(name, None if folder is None else str(folder))
    with (
        warnings.catch_warnings(action="ignore"),
        mlflow.start_run(experiment_id=experiment) as run,
    ):
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(PLAIN[model.feature_names_in_]),
            registered_model_name=name,
            pip_requirements=["scikit-learn"],
            **options,
        )
    mlflow.MlflowClient().set_registered_model_alias(name, "champion", "1")
    run_id: str = run.info.run_id
    return run_id


@pytest.mark.parametrize("place", ["handed out by the server", "in a folder of this machine"])
def test_a_registered_model_scores_as_its_maker_does(
    server: str, run: Run, tmp_path: Path, place: str
) -> None:
    folder = tmp_path / "files" if place == "in a folder of this machine" else None
    name, model = f"loan, {place}", make_plain_model()
    run_id = register(server, name, model, folder, serialization_format="skops")

    lines = run("import", f"models:/{name}@champion")
    run("add", f"models:/{name}/1")

    assert lines[-1] == "saved loan@1, which is the champion now"
    store = ModelStore(tmp_path / "models")
    assert store.versions("loan") == [1, 2]
    origin = store.resolve("loan@1").metadata.origin
    assert origin is not None
    assert origin["mlflow"] == [
        {"uri": f"models:/{name}@champion", "name": name, "version": "1", "run": run_id}
    ]
    # No code runs when a skops file of scikit-learn's types is opened.
    assert "trusted" not in origin
    found = predict(load_model("sklearn", store.resolve("loan@2").path), ROWS)[1]
    makers = model.predict_proba(ROWS)[:, 0]
    np.testing.assert_allclose(found, makers, rtol=0, atol=1e-6)


def test_a_pickle_from_a_server_needs_trust_and_is_named_as_it_was_asked_for(
    server: str, run: Run, tmp_path: Path
) -> None:
    register(server, "pickled", pipe(LogisticRegression()), serialization_format="cloudpickle")
    expected = r"^models:/pickled@champion:model\.pkl: can run any code of its maker"
    with pytest.raises(SettingsError, match=expected):
        run("import", "models:/pickled@champion")
    run("import", "models:/pickled@champion", "--trust")

    origin = ModelStore(tmp_path / "models").resolve("loan@1").metadata.origin
    assert origin is not None
    assert sorted(origin["trusted"]) == ["at", "by"]


def test_what_the_server_does_not_know_is_said(server: str, run: Run) -> None:
    expected = rf"^{server}: Registered Model with name=none not found"
    with pytest.raises(ModelNotFoundError, match=expected):
        run("import", "models:/none@champion")
    register(server, "known", make_plain_model(), serialization_format="skops")
    with pytest.raises(ModelNotFoundError, match="Registered model alias other not found"):
        run("import", "models:/known@other")
    with pytest.raises(ModelNotFoundError, match=r"Model Version \(name=known, version=7\) not"):
        run("import", "models:/known/7")


def test_a_signature_that_is_not_the_contracts_is_refused(server: str, run: Run) -> None:
    from mlflow.models import infer_signature

    rows = PLAIN.assign(age=1.5, purpose=1)[["age", "purpose", "years"]]
    model = fit(LogisticRegression(), rows)
    import mlflow

    mlflow.set_tracking_uri(server)
    with warnings.catch_warnings(action="ignore"), mlflow.start_run():
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(rows),
            registered_model_name="other",
            pip_requirements=["scikit-learn"],
        )
    with pytest.raises(ModelMismatchError) as refused:
        run("import", "models:/other/1")
    assert refused.value.message == (
        "models:/other/1: its signature is not that of contract loan: found the column age"
        " (double), expected none of that name; found the column purpose (long), expected string"
        " for category"
    )
