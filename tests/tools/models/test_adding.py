"""Models from elsewhere are added and imported after they have shown that they score right."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from jobs.models import manage_models
from lib.drift.profile import Profile
from lib.errors import (
    ModelCorruptError,
    ModelError,
    ModelMismatchError,
    ModelNotFoundError,
    SettingsError,
    SourceError,
)
from lib.score.backends.sklearn import files as openers
from lib.score.loading import load_model, predict
from lib.score.registry import BACKENDS
from lib.settings.jobs.models import ModelsSettings
from lib.settings.load import load_settings
from lib.store import ModelStore, ModelVersion
from lib.store.version import PROFILE_ARTEFACT
from tests.support.telco import CONTRACT_FILE, CUSTOMER
from tests.tools.models.conftest import Run

CONTRACT = ("--contract", str(CONTRACT_FILE))


@pytest.fixture
def file(pipeline: Any, tmp_path: Path) -> Path:
    joblib.dump(pipeline, tmp_path / "mine.joblib")
    return tmp_path / "mine.joblib"


@pytest.fixture
def graph(pipeline: Any, tmp_path: Path) -> Path:
    from lib.training.compile.export import export_onnx

    (tmp_path / "mine.onnx").write_bytes(export_onnx(pipeline, CUSTOMER))
    return tmp_path / "mine.onnx"


@pytest.fixture
def golden(pipeline: Any, data: Path, tmp_path: Path) -> Path:
    """Write the two valid records with the probabilities of scikit-learn itself."""
    table = pd.read_csv(data, nrows=2)
    features = table[list(CUSTOMER.feature_names)]
    table["probability"] = pipeline.predict_proba(features)[:, 1].round(6)
    table.to_csv(tmp_path / "golden.csv", index=False)
    return tmp_path / "golden.csv"


def rewrite(golden: Path, **columns: Any) -> None:
    pd.read_csv(golden).assign(**columns).to_csv(golden, index=False)


def test_a_pickle_is_added_once_somebody_trusts_it(
    run: Run, store: ModelStore, file: Path, golden: Path, pipeline: Any, data: Path
) -> None:
    with pytest.raises(SettingsError, match=r"mine\.joblib: can run any code of its maker"):
        run("add", file, *CONTRACT)
    assert store.names() == []

    lines = run("add", file, *CONTRACT, "--trust", "--expect", golden, "--threshold", "0.3")

    assert lines[-1] == "saved churn@1, which is the champion now"
    version = store.resolve("churn@champion")
    assert version.metadata.threshold == 0.3
    origin = version.metadata.origin
    assert origin is not None
    assert origin["command"] == "add"
    assert origin["files"] == {"sklearn": "mine.joblib"}
    assert origin["expected"] == {"file": "golden.csv", "records": 2, "within": 1e-6}
    assert sorted(origin["trusted"]) == ["at", "by"]
    loaded = load_model("sklearn", version.path)
    rows = pd.read_csv(data, nrows=2)[list(CUSTOMER.feature_names)]
    assert predict(loaded, rows)[1] == pipeline.predict_proba(rows)[:, 1].tolist()


def test_an_onnx_file_needs_no_trust(run: Run, store: ModelStore, graph: Path) -> None:
    assert run("add", graph, *CONTRACT, "--name", "graph")[-1].startswith("saved graph@1")
    origin = store.resolve("graph@1").metadata.origin
    assert origin == {"command": "add", "files": {"onnx": "mine.onnx"}}


def test_a_second_version_does_not_become_the_champion(
    run: Run, store: ModelStore, graph: Path
) -> None:
    run("add", graph, *CONTRACT)
    assert run("add", graph, *CONTRACT)[-1] == "saved churn@2"
    assert store.read_champion("churn") == 1


def test_files_of_one_model_become_one_version(
    run: Run, store: ModelStore, file: Path, graph: Path
) -> None:
    run("add", file, graph, *CONTRACT, "--trust")
    version = store.resolve("churn@1")
    assert sorted(version.metadata.artefacts) == [
        "contract.toml",
        "pipeline.joblib",
        "pipeline.onnx",
    ]
    assert version.metadata.origin is not None
    assert version.metadata.origin["largest_difference"] < 1e-6


def test_files_of_different_models_are_refused(
    run: Run, store: ModelStore, file: Path, graph: Path, tmp_path: Path
) -> None:
    other = joblib.load(file)
    other.steps[-1][1].intercept_ = other.steps[-1][1].intercept_ + 0.001
    joblib.dump(other, tmp_path / "other.joblib")

    message = r"designed records: row \d+: found the probability 0\.\d{9} by \w+ and 0\.\d{9} by"
    with pytest.raises(ModelMismatchError, match=message):
        run("add", tmp_path / "other.joblib", graph, *CONTRACT, "--trust")
    assert store.names() == []


def test_a_model_is_measured_on_labelled_rows(
    run: Run, store: ModelStore, file: Path, tmp_path: Path
) -> None:
    from lib.training.data import make_training_data

    data = make_training_data(400, seed=5, contract=CUSTOMER)
    labels = np.where(data.labels == 1, "Yes", "No")
    data.features.assign(Churn=labels).to_csv(tmp_path / "labelled.csv", index=False)

    run("add", file, *CONTRACT, "--trust", "--data", tmp_path / "labelled.csv")

    metadata = store.resolve("churn@1").metadata
    assert sorted(metadata.metrics["sklearn"]) == ["brier", "log_loss", "pr_auc", "roc_auc"]
    assert 0.7 < metadata.metrics["sklearn"]["roc_auc"]["mean"] < 1
    assert metadata.origin is not None
    assert metadata.origin["measured_on"]["file"] == "labelled.csv"
    assert metadata.origin["measured_on"]["rows"] == 400
    # Drift is measured from these rows.
    text = (store.resolve("churn@1").path / PROFILE_ARTEFACT).read_text()
    profile = Profile.from_json(text, PROFILE_ARTEFACT)
    assert [bins.name for bins in profile.features] == list(CUSTOMER.feature_names)
    assert {sum(bins.counts) for bins in profile.quantities} == {profile.rows} == {400}


def test_a_preprocessor_and_its_classifier_become_one_pipeline(
    run: Run, store: ModelStore, pipeline: Any, golden: Path, tmp_path: Path
) -> None:
    joblib.dump(pipeline[:-1], tmp_path / "first.joblib")
    joblib.dump(pipeline[-1], tmp_path / "last.pkl")
    files = (tmp_path / "last.pkl", "--preprocessor", tmp_path / "first.joblib")

    with pytest.raises(SettingsError, match=r"last\.pkl, .*first\.joblib: can run any code"):
        run("add", *files, *CONTRACT)
    run("add", *files, *CONTRACT, "--trust", "--expect", golden)

    assert sorted(store.resolve("churn@1").metadata.artefacts) == [
        "contract.toml",
        "pipeline.joblib",
    ]


def test_the_first_record_that_differs_is_named_with_both_numbers(
    run: Run, store: ModelStore, file: Path, golden: Path
) -> None:
    first, second = pd.read_csv(golden)["probability"].tolist()
    rewrite(golden, probability=[first + 0.4e-6, round(second + 0.0001, 6)])

    with pytest.raises(ModelMismatchError) as refused:
        run("add", file, *CONTRACT, "--trust", "--expect", golden)

    text = refused.value.message
    assert text.startswith(f"{golden}: row 2 (5575-GNVDE): found the probability 0.")
    found = re.findall(r"0\.\d{9}", text)
    assert [float(it) for it in found] == [
        pytest.approx(second, abs=1e-6),
        pytest.approx(second + 0.0001, abs=1e-9),
    ]
    assert text.endswith(", as its maker says; 1 of 2 records differ")
    assert store.names() == []


def test_the_contracts_own_name_of_the_probability_is_read_too(
    run: Run, file: Path, golden: Path
) -> None:
    table = pd.read_csv(golden).rename(columns={"probability": "churn_probability"})
    table.to_csv(golden, index=False)
    run("add", file, *CONTRACT, "--trust", "--expect", golden)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"probability": [0.5, None]}, "row 2: found a value that is no probability"),
        ({"probability": [1.5, 0.5]}, "row 1: found a value that is no probability in the column"),
        ({"tenure": [1, 500]}, r"row 2: the contract telco-churn refuses it \(tenure: out_of"),
    ],
)
def test_expectations_that_cannot_be_read_are_refused(
    run: Run, file: Path, golden: Path, columns: Mapping[str, Any], message: str
) -> None:
    rewrite(golden, **columns)
    with pytest.raises(SourceError, match=message):
        run("add", file, *CONTRACT, "--trust", "--expect", golden)


def test_expectations_need_a_column_and_a_record(run: Run, file: Path, golden: Path) -> None:
    table = pd.read_csv(golden)
    table.drop(columns="probability").to_csv(golden, index=False)
    with pytest.raises(SourceError, match="found nothing in the column probability or churn_prob"):
        run("add", file, *CONTRACT, "--trust", "--expect", golden)
    table[:0].to_csv(golden, index=False)
    with pytest.raises(SourceError, match="found no record"):
        run("add", file, *CONTRACT, "--trust", "--expect", golden)


class NoProbability:
    """A model that cannot score."""

    classes_ = np.array(["No", "Yes"])

    def predict_proba(self, rows: pd.DataFrame) -> Any:
        raise AttributeError("'Old' object has no attribute 'new'")


@pytest.mark.parametrize("name", ["renamed", "silent", "matrix"])
def test_a_model_that_the_job_would_refuse_is_not_added(
    run: Run, store: ModelStore, tmp_path: Path, name: str
) -> None:
    rows = pd.DataFrame({"tenure": [1, 2, 3, 4], "SeniorCitizen": [0, 1, 0, 1]})
    models: dict[str, tuple[Any, str]] = {
        "renamed": (
            LogisticRegression().fit(rows, ["Left", "Stayed"] * 2),
            "found the classes 'Left' and 'Stayed', expected the labels 'No' and 'Yes'",
        ),
        "silent": (NoProbability(), "found no probability for the stand-ins"),
        "matrix": (
            LogisticRegression().fit(rows.to_numpy(), [0, 1] * 2),
            "found a model that takes its columns by their order",
        ),
    }
    model, message = models[name]
    joblib.dump(model, tmp_path / "m.joblib")

    with pytest.raises(ModelError, match=message):
        run("add", tmp_path / "m.joblib", *CONTRACT, "--trust")

    assert store.names() == []
    assert list((store.root / "churn").iterdir()) == []


def test_class_and_columns_are_recorded_in_the_version(
    run: Run, store: ModelStore, tmp_path: Path
) -> None:
    matrix = np.array([[1, 0], [50, 1], [2, 0], [60, 1]])
    model = LogisticRegression().fit(matrix, ["Left", "Stayed", "Left", "Stayed"])
    joblib.dump(model, tmp_path / "m.joblib")
    told = ("--positive-class", "Left", "--columns", "tenure,SeniorCitizen")

    run("add", tmp_path / "m.joblib", *CONTRACT, "--trust", *told)

    metadata = store.resolve("churn@1").metadata
    assert metadata.positive_class == "Left"
    assert metadata.columns == ["tenure", "SeniorCitizen"]
    row = {**{it.name: it.model_stand_in for it in CUSTOMER.features}, "tenure": 1}
    found = predict(load_model("sklearn", store.root / "churn" / "1"), row)[1]
    assert found == [pytest.approx(model.predict_proba([[1, 0]])[0, 0], abs=1e-12)]


def test_what_is_no_model_is_refused_by_its_name(
    run: Run, file: Path, graph: Path, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelNotFoundError, match=r"none\.onnx: no such file or folder"):
        run("add", "none.onnx", *CONTRACT)
    with pytest.raises(SettingsError, match=r"records\.csv: found the suffix \.csv, expected one"):
        run("add", data, *CONTRACT, "--trust")
    with pytest.raises(SettingsError, match="found a folder without metadata"):
        run("add", tmp_path, *CONTRACT, "--trust")
    with pytest.raises(SettingsError, match="both are models for onnx, expected one file for each"):
        run("add", graph, graph, *CONTRACT)
    with pytest.raises(SettingsError, match="found no scikit-learn model, expected one beside it"):
        run("add", graph, *CONTRACT, "--preprocessor", file, "--trust")
    with pytest.raises(SettingsError, match="add takes the files of one model"):
        run("add")


def test_the_files_that_run_no_code_are_those_that_are_not_unpickled() -> None:
    closed = BACKENDS["sklearn"].closed_suffixes
    assert set(closed) == set(openers._OPENERS)
    assert [it.name for it in BACKENDS.values() if it.may_run_code(Path("m.onnx"))] == [
        "sklearn",
        "spark",
        "sql",
    ]


def test_a_version_goes_to_another_store_and_gets_a_number_of_its_own(
    run: Run, store: ModelStore, version: ModelVersion, tmp_path: Path
) -> None:
    archive = tmp_path / "churn-1.tar.gz"
    run("export", "churn@1", "--output", archive)

    with pytest.raises(SettingsError, match=r"churn-1\.tar\.gz:pipeline\.joblib: can run any code"):
        run("import", archive)
    lines = run("import", archive, "--trust")
    run("import", archive, "--trust", "--name", "other")

    assert lines[-1] == "saved churn@2, which is the champion now"
    new = store.resolve("churn@2")
    assert new.metadata.artefacts == version.metadata.artefacts
    assert new.metadata.threshold == version.metadata.threshold
    assert new.metadata.libraries == version.metadata.libraries
    assert new.metadata.origin is not None
    assert new.metadata.origin["from"] == "churn@1"
    assert new.metadata.origin["created"] == "2026-01-01T00:00:00Z"
    assert sorted(new.metadata.origin["trusted"]) == ["at", "by"]
    assert store.versions("other") == [1]


def pack(path: Path, files: Mapping[str, bytes], *special: tarfile.TarInfo) -> Path:
    """Write an archive with these files and further members."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in special:
            archive.addfile(member)
    return path


def make_link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.fixture
def files(version: ModelVersion) -> dict[str, bytes]:
    """Read the files of a version by their names in an archive."""
    found = {f"churn/1/{name}": (version.path / name).read_bytes() for name in ("metadata.json",)}
    for name in version.metadata.artefacts:
        found[f"churn/1/{name}"] = (version.path / name).read_bytes()
    return found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"../evil": b"x"}, r"found the path '../evil', which leads out of it"),
        ({"churn/1/../../../evil": b"x"}, "which leads out of it"),
        ({"/tmp/evil": b"x"}, "which leads out of it"),
        ({"churn/2/extra": b"x"}, "found the path 'churn/2/extra', expected NAME/VERSION/FILE"),
        ({"evil": b"x"}, "found the path 'evil', expected NAME/VERSION/FILE"),
        ({"churn/1/extra": b"x"}, "its files are not those of the metadata: extra"),
        ({"churn/1/pipeline.joblib": b"x"}, r"pipeline\.joblib: found sha256 [0-9a-f]{64}, expect"),
        ({"churn/1/contract.toml": b"x"}, r"contract\.toml: no TOML"),
        ({"churn/1/metadata.json": b"{}"}, "missing"),
        ({"churn/1/metadata.json": None}, "found no metadata.json in it"),
        ({"churn/1/pipeline.joblib": None}, "not those of the metadata: pipeline.joblib"),
    ],
)
def test_an_archive_that_is_not_as_it_was_exported_is_refused(
    run: Run,
    store: ModelStore,
    files: dict[str, bytes],
    tmp_path: Path,
    change: dict[str, bytes | None],
    message: str,
) -> None:
    changed = {name: it for name, it in {**files, **change}.items() if it is not None}
    archive = pack(tmp_path / "x.tar.gz", changed)

    with pytest.raises(ModelCorruptError, match=message):
        run("import", archive, "--trust")

    assert store.versions("churn") == [1]
    assert not (tmp_path / "evil").exists()
    assert not Path("/tmp/evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_special_files_in_an_archive_are_refused(
    run: Run, files: dict[str, bytes], tmp_path: Path, kind: bytes
) -> None:
    special = make_link("churn/1/spark_model", "/etc", kind)
    with pytest.raises(ModelCorruptError, match="found a link or special file"):
        run("import", pack(tmp_path / "x.tar.gz", files, special), "--trust")


def test_a_file_twice_in_an_archive_is_refused(
    run: Run, files: dict[str, bytes], tmp_path: Path
) -> None:
    twice = tmp_path / "x.tar.gz"
    with tarfile.open(twice, "w:gz") as archive:
        for name, content in [*files.items(), ("churn/1/pipeline.joblib", b"other")]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    with pytest.raises(ModelCorruptError, match="its files are not those of the metadata"):
        run("import", twice, "--trust")


def test_an_archive_of_another_contract_is_refused(
    run: Run, files: dict[str, bytes], tmp_path: Path
) -> None:
    metadata = json.loads(files["churn/1/metadata.json"])
    metadata["contract_fingerprint"] = "0" * 64
    files["churn/1/metadata.json"] = json.dumps(metadata).encode()
    with pytest.raises(ModelCorruptError, match="found a contract with the fingerprint"):
        run("import", pack(tmp_path / "x.tar.gz", files), "--trust")

    from tests.record.test_contract_file import LOAN

    archive = tmp_path / "y.tar.gz"
    run("export", "churn@1", "--output", archive)
    with pytest.raises(ModelMismatchError, match="found contract fingerprint"):
        run("import", archive, "--trust", "--contract", LOAN)


def test_what_is_no_archive_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.tar\.gz: no such file"):
        run("import", "none.tar.gz")
    (tmp_path / "x.tar.gz").write_bytes(b"no archive")
    with pytest.raises(ModelCorruptError, match="cannot be read"):
        run("import", tmp_path / "x.tar.gz")


def _add(arguments: list[str]) -> None:
    manage_models(load_settings(ModelsSettings, arguments, {}))


def test_two_processes_that_add_at_once_make_two_versions_and_one_champion(
    store: ModelStore, graph: Path
) -> None:
    arguments = ["add", str(graph), "--store", str(store.root), *CONTRACT]
    with ProcessPoolExecutor(2, get_context("forkserver")) as pool:
        list(pool.map(_add, [arguments] * 4))

    assert store.versions("churn") == [1, 2, 3, 4]
    for number in store.versions("churn"):
        store.resolve(f"churn@{number}").verify()
    assert (store.root / "churn" / "champions").read_text() == f"{store.read_champion('churn')}\n"
