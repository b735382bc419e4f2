"""Counts committed records into windows, judges those that close, and keeps all of it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from py4j.protocol import Py4JError  # type: ignore[import-untyped]  # it ships no types
from pyspark.sql import SparkSession

from lib.background import Background
from lib.drift.counter import WindowCounter, WindowLimits
from lib.drift.judgement import Drift, is_judged, judge_window
from lib.drift.profile import Binning
from lib.drift.window import Window
from lib.errors import ScoringError, name_error
from lib.messages.tally import Tally, read_prediction, read_rejection
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.stream.drift.files import DriftFiles
from lib.telemetry.figures import DriftFigures
from lib.telemetry.monitor import Monitor
from lib.telemetry.progress import read_offsets

logger = logging.getLogger(__name__)

# A kill loses what was counted within this time.
_SAVE_EVERY_S = 10.0
# The end of the job waits so long for its counts to be saved.
_PATIENCE_S = 10.0
# The log and the time line name so many bins of a feature.
_NAMED_BINS = 2

# A file that cannot be read, or holds something else.
_UNREADABLE = (ScoringError, Py4JError, KeyError, TypeError, ValueError, AttributeError)

FindTally = Callable[[Mapping[str, Any]], Tally | None]


class DriftWatch(Background):
    """The drift of one query. Its thread saves the counts; records are counted as they come.

    Guarantee: no record is counted twice, however often the process is killed. What was counted
    within the seconds before a kill is missing.

    Args:
        files: the files in the checkpoint.
        limits: the size at which a window closes.
        limit: the index above which a feature has drifted.
        monitor: the figures and the events, which are kept up to date.
    """

    def __init__(
        self, files: DriftFiles, limits: WindowLimits, limit: float, monitor: Monitor
    ) -> None:
        super().__init__("drift watch", patience_s=_PATIENCE_S)
        self._files = files
        self._limit = limit
        self._monitor = monitor
        self._counter = WindowCounter(limits)
        self._lock = threading.Lock()
        self._unsaved: list[Window] = []
        self._has_changed = self._has_resumed = self._is_lost = False

    @classmethod
    def of(
        cls, spark: SparkSession, settings: ScoreStreamSettings, monitor: Monitor
    ) -> DriftWatch | None:
        """Build the watch of a job; None without ``--drift``."""
        if not settings.drift:
            return None
        files = DriftFiles(spark, settings.checkpoint)
        return cls(files, settings.window_limits, settings.drift_limit, monitor)

    def expect(self, binning: Binning | None) -> None:
        """Take the profile of a version whose records may come from now on."""
        if binning is not None:
            with self._lock:
                self._counter.expect(binning)

    def resume(self, positions: Mapping[int, int | None]) -> None:
        """Go on with the counts of the run before; later calls do nothing.

        Args:
            positions: partition → the first offset without an answer.
        """
        if self._has_resumed:
            return
        self._has_resumed = True
        with self._monitor.figures.changing():
            self._monitor.figures.drift = DriftFigures()
        try:
            windows, state = self._files.list_windows(1), self._files.find_state()
            with self._lock:
                goes_on = state is None or self._counter.resume(state, positions)
        except _UNREADABLE as error:
            logger.warning("drift begins anew, its counts cannot be read: %s", name_error(error))
            return
        if not goes_on:
            logger.warning(
                "drift begins a new window: the offsets were set back, and records would be counted"
                " twice"
            )
        for newest in filter(is_judged, windows):
            self._show(newest, judge_window(newest, self._limit))

    def note(self, tally: Tally | None, through: Mapping[int, int | None]) -> None:
        """Count the records of a batch that was committed.

        Args:
            tally: the counts of the batch; None for nothing.
            through: partition → the offset below which all records are answered.
        """
        if tally is None or not tally.outcomes:
            return
        predictions: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        figures = self._monitor.figures
        for outcome, count in tally.outcomes.get(figures.output_topic, {}).items():
            predictions[read_prediction(outcome)[0]] += count
        for outcome, count in tally.outcomes.get(figures.dead_letter_topic, {}).items():
            refused[read_rejection(outcome)[1]] += count
        known = {partition: at for partition, at in through.items() if at is not None}
        with self._lock:
            closed = self._counter.add(tally.bins, predictions, refused, known, time.time())
            self._unsaved += closed
            self._has_changed = True
            window = self._counter.window
            opened = (None, 0) if window is None else (window.began_s, window.records)
        for each in closed:
            self._judge(each)
        with figures.changing():
            shown = figures.drift or DriftFigures()
            figures.drift = replace(shown, open_since_s=opened[0], open_records=opened[1])

    def observe(self, find_tally: FindTally) -> FindTally:
        """Return a function that finds the counts of an event of Spark, and counts its records."""

        def find_and_note(event: Mapping[str, Any]) -> Tally | None:
            tally = find_tally(event)
            self.resume(_read_positions(event, "startOffset"))
            self.note(tally, _read_positions(event, "endOffset"))
            return tally

        return find_and_note

    def _judge(self, window: Window) -> None:
        if not is_judged(window):
            return
        found = judge_window(window, self._limit)
        self._show(window, found)
        texts = [describe_drift(drift, window) for drift in found if drift.is_over]
        for text in texts:
            logger.warning("drift: %s", text)
        if texts:
            more = f"; and {len(texts) - 1} more" if len(texts) > 1 else ""
            self._monitor.job.add("drift", f"{texts[0]}{more}")

    def _show(self, window: Window, found: list[Drift]) -> None:
        shown = (window.model_version, window.ended_s, window.records, tuple(found))
        with self._monitor.figures.changing():
            self._monitor.figures.drift = DriftFigures(*shown)

    def _run(self) -> None:
        while not self._stopped.wait(_SAVE_EVERY_S):
            self._save()
        self._save()

    def _save(self) -> None:
        """Save closed windows first: a state of a later window must not come before them."""
        with self._lock:
            if not self._has_changed:
                return
            windows, self._unsaved = self._unsaved, []
            state, self._has_changed = self._counter.to_json(), False
        try:
            while windows:
                self._files.write_window(windows[0])
                windows.pop(0)
            self._files.write_state(state)
        except (ScoringError, Py4JError) as error:
            with self._lock:
                self._unsaved, self._has_changed = [*windows, *self._unsaved], True
            if not self._is_lost:
                logger.warning("the counts of drift cannot be saved: %s", name_error(error))
            self._is_lost = True
            return
        self._is_lost = False


def describe_drift(drift: Drift, window: Window) -> str:
    """Describe in one sentence which feature has drifted, how far, and in which bins most."""
    changes = [b - a for a, b in zip(drift.training, drift.found, strict=True)]
    most = sorted(range(len(changes)), key=lambda at: -abs(changes[at]))[:_NAMED_BINS]
    bins = ", ".join(
        f"{drift.labels[at]} {drift.found[at]:.1%} (in training {drift.training[at]:.1%})"
        for at in most
    )
    return (
        f"{drift.subject} has drifted from the training data of {window.model_version}: PSI"
        f" {drift.psi:.2f}, limit {drift.limit:.2f}, {window.records:,} records; {bins}"
    )


def _read_positions(event: Mapping[str, Any], key: str) -> dict[int, int]:
    """Read partition → offset of the only source of a query."""
    found: dict[int, int] = {}
    for source in event.get("sources") or []:
        for partitions in (read_offsets(source.get(key)) or {}).values():
            found |= {int(partition): int(at) for partition, at in partitions.items()}
    return found
