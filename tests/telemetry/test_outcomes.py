"""The job follows the reports of evaluations, and tells of each once."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from lib.telemetry.metrics import write_metrics
from lib.telemetry.monitor import Monitor
from lib.telemetry.outcomes import OutcomeWatch, VersionQuality

QUALITY = {
    "rows": 900,
    "roc_auc": {"value": 0.7, "low": 0.68, "high": 0.72},
    "brier": {"value": 0.15, "low": 0.14, "high": 0.16},
    "calibration_error": {"value": 0.02, "low": None, "high": None},
}


def tell(name: str, **more: Any) -> dict[str, Any]:
    """Return a version as report.json has it."""
    version = {
        "name": name,
        "predictions": 1_000,
        "unlabelled_share": 0.1,
        "quality": QUALITY,
        "training": {"roc_auc": 0.8, "error": 0.01, "brier": 0.12},
        "is_below": True,
    }
    return version | more


def publish(folder: Path, number: int, *versions: dict[str, Any], form: int = 1) -> None:
    """Publish a generation with a report of some versions."""
    fresh = folder / "generations" / f"{number:06d}-abcdef01"
    fresh.mkdir(parents=True)
    definition = {"as_of": "2026-06-01T00:00:00+00:00"}
    report = {"form": form, "definition": definition, "recent": versions}
    (fresh / "report.json").write_text(json.dumps(report))
    (folder / "current").unlink(missing_ok=True)
    (folder / "current").symlink_to(fresh)


def test_a_new_report_is_shown_everywhere_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lib.start")
    monitor = Monitor()
    publish(tmp_path, 1, tell("churn@1"))

    with OutcomeWatch(tmp_path, monitor, interval_s=0.01) as watch:
        assert watch.wait_for(lambda: monitor.figures.outcomes is not None, 10)
        watch.look()
        few = {"rows": 5, "roc_auc": None, "brier": None, "calibration_error": None}
        publish(tmp_path, 2, tell("churn@2", quality=few, training=None, is_below=None))
        assert watch.wait_for(lambda: "churn@2" in str(monitor.figures.outcomes), 10)

    assert [it.text for it in monitor.job.events] == [
        "churn@1: ROC-AUC 0.7000 (0.6800–0.7200), in the training 0.8000, below it by more than"
        " chance",
        "churn@2: 5 labelled predictions, too few to measure",
    ]
    assert {it.kind for it in monitor.job.events} == {"outcomes"}
    assert [it.levelname for it in caplog.records] == ["WARNING", "INFO"]
    assert caplog.messages[0].startswith(
        "quality by outcomes generation=000001-abcdef01 churn@1: ROC-AUC 0.7000"
    )
    assert monitor.figures.outcomes is not None
    assert monitor.figures.outcomes.versions == (VersionQuality("churn@2", 1_000, 5, 0.1),)


def test_the_metrics_have_one_series_for_each_version(tmp_path: Path) -> None:
    monitor = Monitor()
    publish(tmp_path, 1, tell("churn@1"), tell("churn@2", is_below=None))

    OutcomeWatch(tmp_path, monitor).look()

    lines = write_metrics(monitor.figures, monitor.job).decode().splitlines()
    assert [it.removeprefix("scoring_outcomes_") for it in lines if "churn@1" in it] == [
        'roc_auc{version="churn@1"} 0.7',
        'roc_auc_low{version="churn@1"} 0.68',
        'roc_auc_high{version="churn@1"} 0.72',
        'training_roc_auc{version="churn@1"} 0.8',
        'below_training{version="churn@1"} 1.0',
        'brier{version="churn@1"} 0.15',
        'calibration_error{version="churn@1"} 0.02',
        'labelled_records{version="churn@1"} 900.0',
        'unlabelled_ratio{version="churn@1"} 0.1',
    ]
    assert "scoring_outcomes_as_of_timestamp_seconds 1.780272e+09" in lines
    assert not any("below_training" in it for it in lines if "churn@2" in it)


def test_a_job_without_the_setting_has_no_such_series() -> None:
    monitor = Monitor()

    lines = write_metrics(monitor.figures, monitor.job).decode().splitlines()

    assert [it for it in lines if it.startswith("scoring_outcomes_")] == []


@pytest.mark.parametrize("fault", ["missing", "no report", "another form", "half"])
def test_what_cannot_be_read_is_told_once_and_keeps_the_figures(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    monitor = Monitor()
    watch = OutcomeWatch(tmp_path, monitor)
    publish(tmp_path, 1, tell("churn@1"))
    watch.look()
    before = monitor.figures.outcomes
    caplog.clear()
    if fault == "another form":
        publish(tmp_path, 2, form=2)
    elif fault == "half":
        publish(tmp_path, 2, {"name": "churn@2"})
    else:
        publish(tmp_path, 2)
        (tmp_path / "current" / "report.json").unlink()
        if fault == "missing":
            (tmp_path / "current").unlink()

    watch.look()
    watch.look()

    assert monitor.figures.outcomes == before
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"no outcomes from --outcomes {tmp_path}: ")
    publish(tmp_path, 3, tell("churn@3"))
    watch.look()
    assert "churn@3" in str(monitor.figures.outcomes)
