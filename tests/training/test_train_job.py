from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lib.errors import SettingsError
from lib.settings.command import run_command
from lib.settings.jobs.train import TrainSettings
from lib.settings.load import load_settings
from lib.setup.places import PROJECT_ROOT
from lib.synth.telco import make_customers

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def run_script(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROJECT_ROOT / "jobs" / "train.py"), *arguments],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_defaults() -> None:
    settings = load_settings(TrainSettings, [], environment={})
    assert settings.data == "synthetic"
    assert settings.store == Path("models")
    assert settings.name == "churn"
    assert settings.promote


def test_rows_do_not_go_with_a_file() -> None:
    with pytest.raises(SettingsError, match="--data synthetic only"):
        load_settings(TrainSettings, ["--data", "a.csv", "--rows", "500"], environment={})


def test_synthetic_records_are_for_one_candidate_and_a_file_for_all() -> None:
    synthetic = load_settings(TrainSettings, [], environment={})
    file = load_settings(TrainSettings, ["--data", "a.csv"], environment={})
    chosen = load_settings(
        TrainSettings, ["--candidates", "logistic,hist-gradient-boosting"], environment={}
    )
    assert synthetic.tried == ("logistic",)
    assert file.tried == ("logistic", "logistic-interactions", "hist-gradient-boosting")
    assert chosen.tried == ("logistic", "hist-gradient-boosting")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--candidates", "forest"], "Input should be 'logistic', 'logistic-interactions'"),
        (["--cost-missed", "5"], "--cost-missed and --cost-alarm go together: give both or"),
        (["--cost-alarm", "5"], "--cost-missed and --cost-alarm go together: give both or"),
        (["--cost-missed", "0", "--cost-alarm", "1"], "--cost-missed: Input should be greater"),
        (["--cost-missed", "1", "--cost-alarm", "nan"], "--cost-alarm: Input should be"),
        (["--cost-missed", "1", "--cost-alarm", "inf"], "--cost-alarm: Input should be"),
    ],
)
def test_wrong_choices_are_named(flags: list[str], expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(TrainSettings, flags, environment={})
    assert expected in str(caught.value)


def test_help_explains_promotion(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        load_settings(TrainSettings, ["--help"], environment={})
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert "--no-promote" in shown
    assert "becomes the champion" in shown


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    run = run_script("--data", "nothing.csv", folder=tmp_path)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr == (
        "error: --data nothing.csv: no such file (name a CSV file, or say --data synthetic)\n"
    )


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--name", "a/b"], "error: model name 'a/b': expected up to 64 letters"),
        (["--store", "file"], "error: --store: file/churn: Not a directory"),
        (["--rows", "99"], "error: --rows: Input should be greater than or equal to 100"),
    ],
)
def test_a_wrong_setting_is_one_line_before_anything_starts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    expected: str,
) -> None:
    from jobs.train import train_model

    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)

    def run() -> int:
        return train_model(load_settings(TrainSettings, flags, environment={}))

    assert run_command(run) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(expected)
    assert shown.err.count("\n") == 1


def test_verbose_shows_the_traceback(tmp_path: Path) -> None:
    run = run_script("--data", "nothing.csv", "--verbose", folder=tmp_path)
    assert run.returncode == 2
    assert "Traceback" in run.stderr


def test_versions_become_champion_unless_told_otherwise(
    spark: SparkSession, model_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from jobs.train import train_model

    shutil.copytree(model_store, tmp_path / "store")
    path = tmp_path / "customers.csv"
    make_customers(300, seed=1).to_csv(path, index=False)

    def champion_after(*flags: str) -> str:
        arguments = ["--data", str(path), "--store", str(tmp_path / "store"), *flags]
        assert train_model(load_settings(TrainSettings, arguments, environment={})) == 0
        return (tmp_path / "store" / "churn" / "champion").read_text()

    assert champion_after("--no-promote", "--candidates", "logistic") == "1\n"
    assert champion_after() == "3\n"
    shown = capsys.readouterr().out
    assert "churn@3: 300 rows, 5-fold CV" in shown
    assert "champion     churn@3" in shown
    assert "candidates, simplest first" in shown
    report = (tmp_path / "store" / "churn" / "3" / "report.md").read_text()
    assert "The champion was trained on the same data" not in report
    assert "The champion as it is saved scored the rows of this training." in report
    # The second training of the same file fits the champion's pipeline again.
    assert champion_after("--candidates", "logistic") == "4\n"
    again = (tmp_path / "store" / "churn" / "4" / "report.md").read_text()
    assert "Its pipeline was fitted again on the folds of this training." in again


def test_the_script_trains_from_any_folder(spark: SparkSession, tmp_path: Path) -> None:
    # If a name has no champion, the first version becomes it nevertheless.
    run = run_script("--rows", "300", "--name", "small", "--no-promote", folder=tmp_path)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "models" / "small" / "1" / "metadata.json").is_file()
    assert "champion     small@1" in run.stdout
    assert "ERROR" not in run.stderr
