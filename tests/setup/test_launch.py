"""One module states how Spark's JVM starts, for the wrapper, local sessions and tests."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from lib.errors import SetupError
from lib.setup import launch
from lib.setup.java import find_java
from lib.setup.launch import (
    build_local_settings,
    build_variables,
    join_class_path,
    lend_variables,
    list_jvm_options,
    locate_archive,
    provide_spark_home,
    read_spark_defaults,
)
from lib.setup.places import PROJECT_ROOT

LOG_OPTION = f"-Dlog4j2.configurationFile={(PROJECT_ROOT / 'conf/log4j2.properties').as_uri()}"


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
    monkeypatch.setattr(launch, "locate_archive", lambda _: tmp_path / "none.jsa")
    assert list_jvm_options(find_java()) == [LOG_OPTION]


def test_a_recorded_archive_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "spark.jsa"
    archive.touch()
    monkeypatch.setattr(launch, "locate_archive", lambda _: archive)
    used = [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto"]
    assert list_jvm_options(find_java())[:3] == [LOG_OPTION, *used]
    # The archive would not fit a Spark that the user has installed.
    assert list_jvm_options(find_java(), is_installed=False) == [LOG_OPTION]


def test_another_class_path_has_another_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = find_java()
    before = locate_archive(java, tmp_path)
    monkeypatch.setattr(launch, "list_class_path", lambda: [tmp_path / "other.jar"])
    assert locate_archive(java, tmp_path) != before


def test_without_the_connector_nothing_comes_before_spark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "list_jars", lambda _: _raise(SetupError("not fetched")))
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


def test_spark_defaults_are_read_without_comments(tmp_path: Path) -> None:
    path = tmp_path / "spark-defaults.conf"
    path.write_text("# why\nspark.driver.memory   2g\n\nspark.empty\n")

    assert read_spark_defaults(path) == {"spark.driver.memory": "2g", "spark.empty": ""}


def test_a_local_session_has_the_delivered_options_and_those_of_this_machine() -> None:
    settings = build_local_settings()

    options = settings["spark.driver.extraJavaOptions"]
    assert options.startswith("-XX:-DontCompileHugeMethods -Xss8m ")
    assert f'"{LOG_OPTION}"' in options
    assert settings["spark.driver.memory"] == "2g"
    assert settings["spark.driver.host"] == "127.0.0.1"


def test_who_names_a_python_and_a_spark_gets_these() -> None:
    inherited = {"SPARK_HOME": "/spark", "PYSPARK_PYTHON": "/python", "PYTHONPATH": "/own"}

    variables = build_variables(inherited)

    assert variables["SPARK_HOME"] == "/spark"
    assert variables["PYSPARK_PYTHON"] == "/python"
    assert variables["PYTHONPATH"] == f"{PROJECT_ROOT}:/own"
    assert build_variables({})["PYTHONPATH"] == str(PROJECT_ROOT)


def test_what_a_session_is_started_with_is_not_left_to_later_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/own")
    monkeypatch.delenv("SPARK_HOME", raising=False)

    with lend_variables({"PYTHONPATH": "/lib:/own", "SPARK_HOME": "/spark"}):
        assert os.environ["SPARK_HOME"] == "/spark"
        assert os.environ["PYTHONPATH"] == "/lib:/own"

    assert "SPARK_HOME" not in os.environ
    assert os.environ["PYTHONPATH"] == "/own"


def _raise(error: Exception) -> NoReturn:
    raise error
