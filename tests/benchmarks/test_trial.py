from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError
from rich.console import Console

from benchmarks import trial
from benchmarks.trial import BenchmarkSettings, digest_folders, write_report

STARTED = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)


def name_revision(monkeypatch: pytest.MonkeyPatch, is_changed: bool | None) -> None:
    monkeypatch.setattr(
        trial, "describe_revision", lambda: {"commit": "abc", "is_changed": is_changed}
    )


def test_a_report_for_documents_is_stored_under_its_name_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_revision(monkeypatch, is_changed=False)
    monkeypatch.setattr(trial, "RESULTS", tmp_path / "results")
    settings = BenchmarkSettings(output=tmp_path / "build", result="throughput")

    write_report(settings, "rates", STARTED, "{}\n", Console(quiet=True))

    assert (tmp_path / "build" / "rates-20261201T083000Z.json").read_text() == "{}\n"
    assert (tmp_path / "results" / "throughput.json").read_text() == "{}\n"


def test_another_report_is_not_among_the_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "RESULTS", tmp_path / "results")

    write_report(BenchmarkSettings(output=tmp_path), "rates", STARTED, "{}\n", Console(quiet=True))

    assert [path.name for path in tmp_path.iterdir()] == ["rates-20261201T083000Z.json"]


@pytest.mark.parametrize("is_changed", [True, None])
def test_what_no_commit_names_is_not_stored_for_documents(
    monkeypatch: pytest.MonkeyPatch, is_changed: bool | None
) -> None:
    name_revision(monkeypatch, is_changed)

    with pytest.raises(ValidationError, match="expected a clone without changes"):
        BenchmarkSettings(result="throughput")


def test_a_name_with_a_path_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    name_revision(monkeypatch, is_changed=False)

    with pytest.raises(ValidationError, match="result"):
        BenchmarkSettings(result="../throughput")


def test_the_places_of_a_report_are_not_in_it() -> None:
    assert BenchmarkSettings(output=Path("elsewhere")).describe() == {
        "config": None,
        "verbose": False,
        "log_format": "text",
    }


def test_other_code_trains_another_model(tmp_path: Path) -> None:
    (tmp_path / "fitting.py").write_text("seed = 1\n")
    before = digest_folders([tmp_path])
    (tmp_path / "notes.txt").write_text("no code")
    assert digest_folders([tmp_path]) == before
    (tmp_path / "fitting.py").write_text("seed = 2\n")
    assert digest_folders([tmp_path]) != before
