"""The archive of Spark's classes: one for each Java and Spark, and never needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from lib.errors import SetupError
from lib.setup import class_archive
from lib.setup.class_archive import (
    join_class_path,
    list_jvm_options,
    locate_archive,
    provide_spark_home,
)
from lib.setup.java import find_java


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


def test_another_class_path_has_another_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = find_java()
    before = locate_archive(java, tmp_path)
    monkeypatch.setattr(class_archive, "list_class_path", lambda: [tmp_path / "other.jar"])
    assert locate_archive(java, tmp_path) != before


def test_without_the_connector_nothing_comes_before_spark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_archive, "list_jars", lambda _: _raise(SetupError("not fetched")))
    assert join_class_path() == ""


def test_the_home_is_the_installed_spark_without_its_zip(tmp_path: Path) -> None:
    home = provide_spark_home(tmp_path / "home")
    assert (home / "bin" / "spark-submit").is_file()
    assert list((home / "jars").glob("spark-core_*.jar"))
    assert not (home / "python").exists()


def test_a_home_of_another_spark_is_corrected(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "jars").symlink_to(tmp_path / "of an environment that was removed")
    assert list((provide_spark_home(home) / "jars").glob("spark-core_*.jar"))


def _raise(error: Exception) -> NoReturn:
    raise error
