"""The archive of Spark's classes: one for each Java and Spark, and never needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lib import class_archive
from lib.class_archive import list_jvm_options, locate_archive
from lib.java import find_java


def test_another_java_has_another_archive(tmp_path: Path) -> None:
    java = find_java()
    assert locate_archive(java, tmp_path) == locate_archive(java, tmp_path)
    other_version = replace(java, version="17.0.1")
    other_place = replace(java, executable=tmp_path / "java")
    places = {locate_archive(each, tmp_path) for each in (java, other_version, other_place)}
    assert len(places) == 3


def test_without_an_archive_java_starts_as_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_archive, "locate_archive", lambda _: tmp_path / "none.jsa")
    assert list_jvm_options(find_java()) == []


def test_a_recorded_archive_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "spark.jsa"
    archive.touch()
    monkeypatch.setattr(class_archive, "locate_archive", lambda _: archive)
    assert list_jvm_options(find_java())[:2] == [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto"]
