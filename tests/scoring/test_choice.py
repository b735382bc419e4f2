"""Which backend ``--backend auto`` takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.scoring import choice
from lib.scoring.choice import choose_backend
from tests.scoring.conftest import save_version

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
    monkeypatch.setattr(choice, "is_onnxruntime_installed", lambda: False)
    assert choose_backend(make_version(tmp_path, *ALL)) == "sql"


@pytest.mark.parametrize(
    ("name", "chosen"), [("m.onnx", "onnx"), ("m.sql", "sql"), ("m.joblib", "sklearn")]
)
def test_outside_a_store_the_suffix_tells(tmp_path: Path, name: str, chosen: str) -> None:
    (tmp_path / name).touch()
    assert choose_backend(tmp_path / name) == chosen


def test_a_folder_outside_a_store_is_a_pipeline_model(tmp_path: Path) -> None:
    assert choose_backend(tmp_path) == "spark"
