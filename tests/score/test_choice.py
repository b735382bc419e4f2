"""``--backend auto`` chooses the fastest backend that a model has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from lib.errors import ModelError
from lib.inference_backend import load_model
from lib.score.choice import choose_backend, find_model
from lib.score.registry import BACKENDS, DEFAULT, rank_backends
from lib.settings.base import BackendChoice, ModelSettings
from tests.score.conftest import save_version

ALL = ("pipeline.joblib", "pipeline.onnx", "probability.sql", "spark_model/metadata/part-00000")


def make_version(root: Path, *artefacts: str) -> Path:
    def write(folder: Path) -> None:
        for name in artefacts:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)

    return save_version(root, write).path


@pytest.mark.parametrize(
    ("artefacts", "chosen", "native"),
    [
        (ALL, "onnx", "sql"),
        (ALL[:2], "onnx", "sklearn"),
        ((ALL[0], ALL[2], ALL[3]), "sql", "sql"),
        ((ALL[0], ALL[3]), "spark", "spark"),
        (ALL[:1], "sklearn", "sklearn"),
    ],
)
def test_auto_takes_the_fastest_that_a_version_has(
    tmp_path: Path, artefacts: tuple[str, ...], chosen: str, native: str
) -> None:
    path = make_version(tmp_path, *artefacts)
    assert choose_backend(path) == chosen
    assert choose_backend(path, native_only=True) == native


def test_without_onnxruntime_auto_takes_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = replace(BACKENDS["onnx"], modules=("no_such_module",))
    monkeypatch.setitem(BACKENDS, "onnx", absent)
    assert choose_backend(make_version(tmp_path, *ALL)) == "sql"


@pytest.mark.parametrize(
    ("name", "chosen"), [("m.onnx", "onnx"), ("m.sql", "sql"), ("m.joblib", "sklearn")]
)
def test_outside_a_store_the_suffix_tells(tmp_path: Path, name: str, chosen: str) -> None:
    (tmp_path / name).touch()
    assert choose_backend(tmp_path / name) == chosen


@pytest.mark.parametrize(
    ("url", "chosen"),
    [("s3a://bucket/model", "spark"), ("hdfs:///m", "spark"), ("s3a://bucket/m.onnx", "onnx")],
)
def test_a_url_is_a_pipeline_model_unless_its_suffix_says_otherwise(url: str, chosen: str) -> None:
    assert find_model(ModelSettings(model=url)) == url
    assert choose_backend(url) == chosen


def test_a_file_is_read_from_a_disk_of_this_machine_only() -> None:
    line = (
        "s3a://bucket/m.{}: found a URL, expected a file on a disk of this machine: only models of"
        " Spark are read from elsewhere"
    )
    with pytest.raises(FileNotFoundError) as by_sklearn:
        load_model("sklearn", "s3a://bucket/m.joblib")
    assert str(by_sklearn.value).startswith(f"Model file not found: {line.format('joblib')}")
    with pytest.raises(ModelError) as by_onnx:
        load_model("onnx", "s3a://bucket/m.onnx")
    assert line.format("onnx") in str(by_onnx.value)


def test_a_folder_outside_a_store_is_a_pipeline_model(tmp_path: Path) -> None:
    assert choose_backend(tmp_path) == "spark"


def test_the_settings_name_every_backend_in_the_order_of_auto() -> None:
    ranked = [kind.name for kind in rank_backends()]
    assert ranked == ["onnx", "sql", "spark", "sklearn"]
    assert sorted(BACKENDS) == sorted(ranked)
    assert get_args(BackendChoice) == ("auto", *ranked)
    assert ranked[-1] == DEFAULT
