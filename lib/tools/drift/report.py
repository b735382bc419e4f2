"""Reports the drift of a query on the console, or as HTML, Markdown or JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lib.drift.folder import DriftDamagedError
from lib.drift.judgement import LEAST_RECORDS, Drift, is_judged, judge_window
from lib.drift.window import Window
from lib.errors import CheckpointDamagedError, SettingsError, SourceError
from lib.exit_codes import ExitCode
from lib.file_errors import naming_file
from lib.settings.drift import DriftReportSettings
from lib.setup.whole_file import make_whole
from lib.tools.drift.reading import open_folder
from lib.training.report.document import (
    Block,
    Heading,
    Paragraph,
    Table,
    write_html,
    write_markdown,
)

# The shares by bin are listed for so many features, the worst ones.
_SHOWN_FEATURES = 3
# A name is cut to so many characters on the console.
_NAME_WIDTH, _BIN_WIDTH = 34, 40
_COLUMNS = ("feature", "PSI", "limit", "unseen", "null", "")
_WINDOW_COLUMNS = ("window", "ended, UTC", "version", "counted", "worst", "PSI")


@dataclass(frozen=True)
class Report:
    """The drift of one query.

    Attributes:
        query: the name of the query.
        window: the window that is reported: the newest closed one, or else the open one.
        is_open: whether that window is open.
        found: its drift, the worst first.
        windows: pairs of the last closed windows and their drift, the newest first; a window of too
            few records has none.
    """

    query: str
    window: Window
    is_open: bool
    found: Sequence[Drift]
    windows: Sequence[tuple[Window, Sequence[Drift]]]

    @property
    def title(self) -> str:
        """The title of the report."""
        return f"Drift of {self.window.model_version}, query {self.query}"

    @property
    def summary(self) -> str:
        """A sentence that says what is reported, and which features have drifted."""
        window = self.window
        drifted = [drift.name for drift in self.found if drift.is_over]
        which = f"{', '.join(drifted)} drifted." if drifted else "Nothing drifted."
        few = "" if is_judged(window) else f" Fewer than {LEAST_RECORDS} records say little."
        return (
            f"Window {window.number}{', still open,' * self.is_open} from"
            f" {_tell(window.began_s)} to {_tell(window.ended_s)} UTC: {window.answered:,} records"
            f" answered, {window.records:,} counted. {which}{few}"
        )


def report(settings: DriftReportSettings) -> Generator[str, None, int]:
    """Yield the lines of the report, or write it to a file and say so.

    Raises:
        SourceError: the checkpoint has no windows, or damaged ones.
        SettingsError: there is no such checkpoint, or no such form of a file.
    """
    path = None if settings.output is None else Path(settings.output)
    if path is not None and path.suffix not in _FORMS:
        raise SettingsError(
            f"--output {path}: expected a file that ends with one of {', '.join(_FORMS)}"
        )
    found = read_report(settings)
    if path is None:
        yield from list_lines(found)
        return ExitCode.DONE
    write = _FORMS[path.suffix]
    with naming_file(path), make_whole(path) as fresh:
        fresh.write_text(write(found), encoding="utf-8")
    yield f"{found.summary}\nwrote {path}"
    return ExitCode.DONE


def read_report(settings: DriftReportSettings) -> Report:
    """Read and judge the windows of a checkpoint; see :func:`report`."""
    folder, limit = open_folder(settings.checkpoint), settings.drift_limit
    try:
        windows = folder.list_windows(settings.windows)
        newest = next(filter(is_judged, windows), None)
        shown = newest or folder.find_open_window()
    except (DriftDamagedError, CheckpointDamagedError) as error:
        raise SourceError(
            str(error), hint="remove this file; the job goes on with the others"
        ) from error
    if shown is None or not shown.counts:
        raise SourceError(
            f"{settings.checkpoint}: found no counts of drift in it",
            hint="start the job with --drift and a version that has a profile; see docs/drift.md",
        )
    judged = [(it, judge_window(it, limit) if is_judged(it) else []) for it in windows]
    found = judge_window(shown, limit)
    return Report(settings.query_name, shown, newest is None, found, judged)


def list_lines(found: Report) -> Iterator[str]:
    """List the lines for the console, at most 80 columns wide but for long names."""
    yield found.title
    yield from textwrap.wrap(found.summary, 80)
    yield ""
    yield f"{'feature':<{_NAME_WIDTH}} {'PSI':>6} {'limit':>6} {'unseen':>7} {'null':>7}"
    for drift in found.found:
        name, *numbers, word = _describe(drift)
        cells = " ".join(
            f"{cell:>{width}}" for cell, width in zip(numbers, (6, 6, 7, 7), strict=True)
        )
        yield f"{_cut(name, _NAME_WIDTH):<{_NAME_WIDTH}} {cells}  {word}".rstrip()
    for drift in found.found[:_SHOWN_FEATURES]:
        yield ""
        yield f"{_cut(drift.name, _BIN_WIDTH):<{_BIN_WIDTH}}  {'training':>9} {'window':>9}"
        for label, training, now in _list_bins(drift):
            yield f"  {_cut(label, _BIN_WIDTH - 2):<{_BIN_WIDTH - 2}}  {training:>9} {now:>9}"
    if found.windows:
        yield ""
        yield f"{'window':>6}  {'ended, UTC':<16}  {'counted':>9}  {'PSI':>5}  worst"
    for window, drifts in found.windows:
        number, ended, _, counted, worst, psi = _describe_window(window, drifts)
        yield f"{number:>6}  {ended:<16}  {counted:>9}  {psi:>5}  {_cut(worst, _NAME_WIDTH)}"


def write_json(found: Report) -> str:
    """Write the report as JSON."""
    return json.dumps(
        {
            "query": found.query,
            "summary": found.summary,
            **_describe_json(found.window, found.found),
            "is_open": found.is_open,
            "windows": [_describe_json(*pair) for pair in found.windows],
        },
        indent=2,
        ensure_ascii=False,
    )


def _describe_json(window: Window, drifts: Sequence[Drift]) -> dict[str, Any]:
    return {
        "window": window.number,
        "model_version": window.model_version,
        "began_s": window.began_s,
        "ended_s": window.ended_s,
        "answered": window.answered,
        "counted": window.records,
        "features": [{**asdict(drift), "is_over": drift.is_over} for drift in drifts],
    }


def _write_html(found: Report) -> str:
    return write_html(found.title, list(_list_blocks(found)))


def _write_markdown(found: Report) -> str:
    return write_markdown(found.title, list(_list_blocks(found)))


def _list_blocks(found: Report) -> Iterator[Block]:
    yield Paragraph(found.summary)
    yield Heading("Features and score")
    yield Table(_COLUMNS, [_describe(drift) for drift in found.found])
    for drift in found.found[:_SHOWN_FEATURES]:
        yield Heading(f"{drift.name}: share of each bin")
        yield Table(("value", "training", "window"), list(_list_bins(drift)))
    if found.windows:
        yield Heading("Windows")
        yield Table(_WINDOW_COLUMNS, [_describe_window(*pair) for pair in found.windows])


def _describe(drift: Drift) -> tuple[str, ...]:
    shares = f"{drift.unseen:.1%}", f"{drift.missing:.1%}"
    word = "drifted" if drift.is_over else ""
    return (drift.name, f"{drift.psi:.3f}", f"{drift.limit:.3f}", *shares, word)


def _list_bins(drift: Drift) -> Iterator[tuple[str, str, str]]:
    for label, training, now in zip(drift.labels, drift.training, drift.found, strict=True):
        if training or now:
            yield label, f"{training:.1%}", f"{now:.1%}"


def _describe_window(window: Window, drifts: Sequence[Drift]) -> tuple[str, ...]:
    worst, psi = (drifts[0].name, f"{drifts[0].psi:.2f}") if drifts else ("too few records", "–")
    ended = _tell(window.ended_s)
    return (str(window.number), ended, window.model_version, f"{window.records:,}", worst, psi)


def _tell(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M")


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


# The end of a file's name → a function that writes its text.
_FORMS = {".html": _write_html, ".md": _write_markdown, ".json": write_json}
