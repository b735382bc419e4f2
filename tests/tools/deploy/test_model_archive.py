"""A model can be packed as an archive."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from lib.errors import ModelNotFoundError
from lib.settings.base import ModelSettings
from lib.store import ModelStore, ModelVersion
from lib.tools.deploy.model_archive import pack_model
from tests.support.stored_models import save_version


@pytest.fixture
def version(tmp_path: Path) -> ModelVersion:
    """Save churn@1, the champion, with a model and one more file in a folder."""

    def write(folder: Path) -> None:
        (folder / "pipeline.joblib").write_bytes(b"model")
        (folder / "deep").mkdir()
        (folder / "deep" / "model.bin").write_bytes(b"model")

    store = ModelStore(tmp_path / "store")
    saved = save_version(store, write)
    store.promote("churn", saved.version)
    return saved


def test_one_version_is_packed_as_a_store_whose_versions_do_not_change(
    version: ModelVersion, tmp_path: Path
) -> None:
    settings = ModelSettings(store=version.path.parents[1], model="churn@champion")

    packed = pack_model(settings, tmp_path / "build")

    assert packed is not None
    assert packed.flags == ("--store", "models", "--model", "churn@1")
    with zipfile.ZipFile(packed.archive) as archive:
        archive.extractall(tmp_path / "models")
    found = ModelStore(tmp_path / "models").resolve("churn@1")
    found.verify()
    assert pack_model(settings, tmp_path / "build") == packed


def test_a_model_of_a_single_file_is_packed_under_its_name(tmp_path: Path) -> None:
    model = tmp_path / "any.onnx"
    model.write_bytes(b"model")

    packed = pack_model(ModelSettings(model=str(model)), tmp_path / "build")

    assert packed is not None
    assert packed.flags == ("--model", "models/any.onnx")
    assert zipfile.ZipFile(packed.archive).namelist() == ["any.onnx"]


def test_what_executors_read_by_themselves_is_not_sent(version: ModelVersion) -> None:
    settings = ModelSettings(store=version.path.parents[1], backend="spark")
    assert pack_model(settings) is None


def test_a_model_that_is_not_there_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        pack_model(ModelSettings(store=tmp_path, model="churn@7"))
