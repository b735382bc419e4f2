"""The driver counts committed records once, tells of drift once, and keeps both."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lib.drift.bins import BinKind, Bins
from lib.drift.counter import WindowLimits
from lib.drift.profile import Binning, Profile
from lib.messages.tally import Tally
from lib.telemetry.monitor import Monitor

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lib.stream.drift.watch import DriftWatch

PROFILE = Profile(
    1_000,
    (Bins("amount", BinKind.NUMBER, (5.5,), counts=(500, 500, 0)),),
    Bins("(score)", BinKind.NUMBER, (0.5,), counts=(900, 100, 0)),
)
BINNING = Binning(1, "m@1/onnx", PROFILE)


def build_watch(spark: SparkSession, checkpoint: Path, monitor: Monitor) -> DriftWatch:
    from lib.stream.drift.files import DriftFiles
    from lib.stream.drift.watch import DriftWatch

    monitor.name_topics("out", "dead")
    files = DriftFiles(spark, str(checkpoint))
    watch = DriftWatch(files, WindowLimits(1_000, 3_600), 0.2, monitor)
    watch.expect(BINNING)
    return watch


def tally(low: int, high: int, refused: int = 0) -> Tally:
    count = low + high
    bins = {PROFILE.make_key("m@1/onnx").hex(): ((low, high), (count - count // 10, count // 10))}
    dead = {"not_allowed:amount": refused} if refused else {}
    return Tally({"out": {"m@1/onnx\tYes": count}, "dead": dead}, bins=bins)


def read_counts(checkpoint: Path) -> list[list[int]]:
    (state,) = (checkpoint / "drift" / "states").glob("[0-9]*")
    counts: list[list[int]] = json.loads(state.read_text())["window"]["counts"]
    return counts


def test_drift_is_told_once_for_each_window_and_named(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monitor = Monitor(is_on=True)
    with caplog.at_level(logging.WARNING), build_watch(spark, tmp_path, monitor) as watch:
        watch.resume({0: 0})
        watch.note(tally(480, 520), {0: 1_000})
        assert caplog.messages == []
        watch.note(tally(50, 450), {0: 1_500})
        watch.note(tally(50, 550, refused=3), {0: 2_103})
        watch.note(tally(1, 1), {0: 2_105})

    (line,) = caplog.messages
    assert line == (
        "drift: Feature amount has drifted from the training data of m@1/onnx: PSI 0.94, limit"
        " 0.20, 1,100 records; ≤ 5.5 9.1% (in training 50.0%), > 5.5 90.7% (in training 50.0%)"
    )
    assert [it.text for it in monitor.job.events if it.kind == "drift"] == [line[7:]]
    drift = monitor.figures.drift
    assert drift is not None
    assert [(it.name, it.is_over) for it in drift.found] == [("amount", True), ("(score)", False)]
    assert (drift.records, drift.open_records) == (1_100, 2)
    names = sorted(it.name for it in (tmp_path / "drift" / "windows").glob("[0-9]*"))
    assert names == ["1", "2"]


def test_counts_go_on_after_a_restart_and_never_count_twice(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Monitor(is_on=True)
    with build_watch(spark, tmp_path, first) as watch:
        watch.resume({0: 0})
        watch.note(tally(500, 500), {0: 1_000})
        watch.note(tally(30, 20), {0: 1_050})

    again = Monitor(is_on=True)
    with build_watch(spark, tmp_path, again) as watch:
        watch.resume({0: 1_060})  # ten were answered, but the process was killed before it saved
        assert again.figures.drift is not None
        assert [it.name for it in again.figures.drift.found] == ["(score)", "amount"]
        watch.resume({0: 0})  # a restart of the query within the process changes nothing
        watch.note(tally(5, 5), {0: 1_070})
    assert read_counts(tmp_path) == [[35, 25, 0], [54, 6, 0]]

    with build_watch(spark, tmp_path, Monitor(is_on=True)) as watch:
        watch.resume({0: 900})
        watch.note(tally(1, 2), {0: 903})
    assert "the offsets were set back" in caplog.text
    assert read_counts(tmp_path) == [[1, 2, 0], [3, 0, 0]]

    (state,) = (tmp_path / "drift" / "states").glob("[0-9]*")
    (tmp_path / "drift" / "states" / f".{state.name}.crc").unlink()
    state.write_text("[]")
    with build_watch(spark, tmp_path, Monitor(is_on=True)) as watch:
        watch.resume({0: 903})
    assert "drift begins anew, its counts cannot be read" in caplog.text


def test_a_query_of_sparks_own_sink_tells_by_its_events_what_was_counted(
    spark: SparkSession, tmp_path: Path
) -> None:
    def event(start: int, end: int) -> dict[str, object]:
        offsets = [{"in": {"0": start, "1": 5}}, {"in": {"0": end, "1": 5}}]
        return {"sources": [{"startOffset": offsets[0], "endOffset": offsets[1]}]}

    with build_watch(spark, tmp_path, Monitor(is_on=True)) as watch:
        find = watch.observe(lambda _: tally(10, 10))
        assert find(event(0, 20)) == tally(10, 10)
    with build_watch(spark, tmp_path, Monitor(is_on=True)) as watch:
        watch.observe(lambda _: tally(1, 0))(event(20, 21))
    assert read_counts(tmp_path)[0] == [11, 10, 0]
    with build_watch(spark, tmp_path, Monitor(is_on=True)) as watch:
        watch.observe(lambda _: tally(1, 0))(event(20, 21))  # the batch is repeated after a kill
    assert read_counts(tmp_path)[0] == [1, 0, 0]
