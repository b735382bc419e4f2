"""A model that was changed after saving is refused before any of it is unpickled."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from lib.errors import ModelCorruptError
from lib.score.backends.sklearn.backend import SklearnBackend
from lib.score.choice import find_model
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.store import ModelStore, ModelVersion
from tests.support.stored_models import save_version


class Harmless:
    """A model that has only what loading needs."""

    def predict_proba(self, features: Any) -> Any:
        return np.full((len(features), 2), 0.5)


class Bomb(Harmless):
    """An object that creates a file when it is unpickled; a hostile model would do worse."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.marker),))


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """Return the path that exists once a bomb went off."""
    return tmp_path / "went-off"


@pytest.fixture
def bomb(tmp_path: Path, marker: Path) -> Path:
    """Write a hostile file outside of any store."""
    path = tmp_path / "bomb.joblib"
    joblib.dump(Bomb(marker), path)
    return path


@pytest.fixture
def version(tmp_path: Path) -> ModelVersion:
    """Save a version with a nested file beside its pipeline."""

    def write(folder: Path) -> None:
        joblib.dump(Harmless(), folder / "pipeline.joblib")
        nested = folder / "extras" / "deep"
        nested.mkdir(parents=True)
        joblib.dump(Harmless(), nested / "more.joblib")

    return save_version(ModelStore(tmp_path / "models"), write)


def load(model: str, store: Path) -> None:
    """Load a model as the job does with ``--model`` and ``--store``."""
    settings = ScoreStreamSettings(store=store, model=model)
    SklearnBackend(find_model(settings)).load()


def test_a_bomb_outside_a_store_goes_off(bomb: Path, marker: Path, tmp_path: Path) -> None:
    """This control shows that these tests would see a bomb."""
    with pytest.raises(Exception, match="NoneType"):
        load(str(bomb), tmp_path)
    assert marker.exists()


def test_a_version_as_it_was_saved_is_loaded(version: ModelVersion) -> None:
    load("churn@1", version.path.parent.parent)


def replace_pipeline(version: ModelVersion, bomb: Path) -> None:
    shutil.copy(bomb, version.path / "pipeline.joblib")


def change_one_byte(version: ModelVersion, bomb: Path) -> None:
    content = bytearray((version.path / "pipeline.joblib").read_bytes())
    content[len(content) // 2] ^= 1
    (version.path / "pipeline.joblib").write_bytes(bytes(content))


def add_a_foreign_file(version: ModelVersion, bomb: Path) -> None:
    shutil.copy(bomb, version.path / "extras" / "sitecustomize.py")


def link_pipeline(version: ModelVersion, bomb: Path) -> None:
    (version.path / "pipeline.joblib").unlink()
    (version.path / "pipeline.joblib").symlink_to(bomb)


def link_to_the_same_bytes(version: ModelVersion, bomb: Path) -> None:
    shutil.move(version.path / "pipeline.joblib", bomb.with_name("same"))
    (version.path / "pipeline.joblib").symlink_to(bomb.with_name("same"))


def link_nested_file(version: ModelVersion, bomb: Path) -> None:
    nested = version.path / "extras" / "deep" / "more.joblib"
    nested.unlink()
    nested.symlink_to(bomb)


def link_nested_folder(version: ModelVersion, bomb: Path) -> None:
    moved = bomb.with_name("moved")
    shutil.move(version.path / "extras", moved)
    (version.path / "extras").symlink_to(moved)


def link_version(version: ModelVersion, bomb: Path) -> None:
    moved = bomb.with_name("moved")
    shutil.move(version.path, moved)
    version.path.symlink_to(moved)


def link_model(version: ModelVersion, bomb: Path) -> None:
    moved = bomb.with_name("moved")
    shutil.move(version.path.parent, moved)
    version.path.parent.symlink_to(moved)


def link_metadata(version: ModelVersion, bomb: Path) -> None:
    moved = bomb.with_name("moved.json")
    shutil.move(version.path / "metadata.json", moved)
    (version.path / "metadata.json").symlink_to(moved)


def put_a_pipe(version: ModelVersion, bomb: Path) -> None:
    os.mkfifo(version.path / "pipe")


def _edit(version: ModelVersion, change: Callable[[dict[str, Any]], None]) -> None:
    path = version.path / "metadata.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def list_a_file_outside(version: ModelVersion, bomb: Path) -> None:
    _edit(version, lambda values: values["artefacts"].update({"../../../bomb.joblib": "0" * 64}))


def list_an_absolute_file(version: ModelVersion, bomb: Path) -> None:
    _edit(version, lambda values: values["artefacts"].update({str(bomb): "0" * 64}))


def hide_the_way_out(version: ModelVersion, bomb: Path) -> None:
    entry = {"extras/../../../../bomb.joblib": "0" * 64}
    _edit(version, lambda values: values["artefacts"].update(entry))


def forget_the_pipeline(version: ModelVersion, bomb: Path) -> None:
    replace_pipeline(version, bomb)
    _edit(version, lambda values: values["artefacts"].pop("pipeline.joblib"))


def nest_the_metadata(version: ModelVersion, bomb: Path) -> None:
    replace_pipeline(version, bomb)
    (version.path / "metadata.json").write_text("[" * 100_000)


def take_anothers_place(version: ModelVersion, bomb: Path) -> None:
    _edit(version, lambda values: values.update(name="other"))


ATTACKS = (
    replace_pipeline,
    change_one_byte,
    add_a_foreign_file,
    link_pipeline,
    link_to_the_same_bytes,
    link_nested_file,
    link_nested_folder,
    link_version,
    link_model,
    link_metadata,
    put_a_pipe,
    list_a_file_outside,
    list_an_absolute_file,
    hide_the_way_out,
    forget_the_pipeline,
    nest_the_metadata,
    take_anothers_place,
)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_version_that_is_not_as_it_was_saved_is_refused_unopened(
    version: ModelVersion,
    bomb: Path,
    marker: Path,
    attack: Callable[[ModelVersion, Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = version.path.parent.parent
    attack(version, bomb)
    opened = []
    monkeypatch.setattr("joblib.load", lambda *_, **__: opened.append(1))

    with pytest.raises(ModelCorruptError):
        load("churn@1", store)

    assert opened == []
    assert not marker.exists()


@pytest.mark.parametrize("name", ["pipeline.joblib", "extras/deep/more.joblib"])
def test_a_file_of_a_version_is_verified_however_deep_it_lies(
    version: ModelVersion, bomb: Path, marker: Path, name: str
) -> None:
    load(str(version.path / name), version.path.parent)
    shutil.copy(bomb, version.path / name)

    with pytest.raises(ModelCorruptError, match="found sha256"):
        load(str(version.path / name), version.path.parent)

    assert not marker.exists()


@pytest.mark.parametrize("text", ["../../bomb.joblib", "../bomb.joblib", "/etc/1", "1/../../x"])
def test_a_champion_outside_the_store_is_refused(version: ModelVersion, text: str) -> None:
    (version.path.parent / "champion").write_text(text)

    with pytest.raises(ModelCorruptError, match="expected a version number"):
        load("churn@champion", version.path.parent.parent)
