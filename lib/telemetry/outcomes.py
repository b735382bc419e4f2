"""Follows the reports of ``jobs/evaluate.py``, so that operators see the quality of predictions.

Off, it does not exist; on, it looks at one link each minute, and reads a file when that changes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.background import Background
from lib.settings.command import START_LOGGER

if TYPE_CHECKING:
    from lib.telemetry.monitor import Monitor

logger = logging.getLogger(START_LOGGER)

#: The files of ``lib/evaluation``, and the form of its report that is understood here.
_CURRENT, _REPORT, _FORM = "current", "report.json", 1
_INTERVAL_S = 60.0


@dataclass(frozen=True)
class VersionQuality:
    """The quality of one version by the outcomes of its recent complete weeks.

    Attributes:
        version: the version, without its engine.
        predictions: the number of predictions.
        labelled: the number of those with an outcome.
        unlabelled_share: the share of those that have none yet.
        roc_auc, roc_auc_low, roc_auc_high: the ROC-AUC and its 95 % interval; None for too few.
        brier, calibration_error: the Brier score and the ECE; None for too few.
        training_roc_auc: the ROC-AUC of the training; None if it is not known.
        is_below: whether outcomes fall short of the training; None if it is not known.
    """

    version: str
    predictions: int
    labelled: int
    unlabelled_share: float
    roc_auc: float | None = None
    roc_auc_low: float | None = None
    roc_auc_high: float | None = None
    brier: float | None = None
    calibration_error: float | None = None
    training_roc_auc: float | None = None
    is_below: bool | None = None


@dataclass(frozen=True)
class OutcomeReport:
    """The newest report.

    Attributes:
        as_of_s: the time up to which predictions have aged, in seconds since 1970.
        versions: the quality of each version with predictions in recent complete weeks.
    """

    as_of_s: float
    versions: tuple[VersionQuality, ...]


def read_report(path: Path) -> OutcomeReport:
    """Read the part of a report that operators see.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is no such report.
    """
    report = json.loads(path.read_text(encoding="utf-8"))
    try:
        if report["form"] != _FORM:
            raise ValueError(f"found the form {report['form']}, expected {_FORM}")
        as_of = datetime.fromisoformat(report["definition"]["as_of"])
        versions = tuple(map(_read_version, report["recent"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"no report of jobs/evaluate.py: {error!r}") from error
    return OutcomeReport(as_of.timestamp(), versions)


def _read_version(part: Mapping[str, Any]) -> VersionQuality:
    quality = part["quality"]
    roc_auc = quality["roc_auc"] or {}
    return VersionQuality(
        version=part["name"],
        predictions=part["predictions"],
        labelled=quality["rows"],
        unlabelled_share=part["unlabelled_share"],
        roc_auc=roc_auc.get("value"),
        roc_auc_low=roc_auc.get("low"),
        roc_auc_high=roc_auc.get("high"),
        brier=(quality["brier"] or {}).get("value"),
        calibration_error=(quality["calibration_error"] or {}).get("value"),
        training_roc_auc=(part["training"] or {}).get("roc_auc"),
        is_below=part["is_below"],
    )


class OutcomeWatch(Background):
    """Looks each minute whether there is a new report.

    Args:
        folder: the output folder of ``jobs/evaluate.py``.
        monitor: the figures and events, which get what is read.
        interval_s: the time between two looks.
    """

    def __init__(self, folder: Path, monitor: Monitor, interval_s: float = _INTERVAL_S) -> None:
        super().__init__("outcomes", patience_s=1.0)
        self._folder = folder
        self._monitor = monitor
        self._interval_s = interval_s
        self._seen = ""
        self._trouble = ""

    def look(self) -> None:
        """Read the current report if it is a new one; what cannot be read is told once."""
        current = self._folder / _CURRENT
        try:
            generation = current.resolve(strict=True).name
            if generation == self._seen:
                return
            report = read_report(current.resolve() / _REPORT)
        except (OSError, ValueError) as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                logger.warning("no outcomes from --outcomes %s: %s", self._folder, error)
            return
        self._seen, self._trouble = generation, ""
        with self._monitor.figures.changing():
            self._monitor.figures.outcomes = report
        for version in report.versions:
            text = describe(version)
            self._monitor.job.add("outcomes", text)
            logger.log(
                logging.WARNING if version.is_below else logging.INFO,
                *("quality by outcomes generation=%s %s", generation, text),
            )

    def _run(self) -> None:
        self.look()
        while not self._stopped.wait(self._interval_s):
            self.look()


def describe(version: VersionQuality) -> str:
    """Describe the quality of a version in a phrase."""
    if version.roc_auc is None:
        return f"{version.version}: {version.labelled:,} labelled predictions, too few to measure"
    text = f"{version.version}: ROC-AUC {version.roc_auc:.4f}"
    if version.roc_auc_low is not None and version.roc_auc_high is not None:
        text += f" ({version.roc_auc_low:.4f}–{version.roc_auc_high:.4f})"
    if version.training_roc_auc is not None:
        text += f", in the training {version.training_roc_auc:.4f}"
    return text + (", below it by more than chance" if version.is_below else "")
