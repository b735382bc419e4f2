"""Shows progress as one live line on a terminal, and as plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Protocol, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from lib.log_lines import PROGRESS_LOGGER, build_line
from lib.telemetry.progress import BatchProgress, Totals

# The shortest time between two lines in a log file, and the longest that a line waits.
_PLAIN_INTERVAL_S = 10.0


class ProgressView(Protocol):
    """Shows the batches of a query."""

    def show(self, batch: BatchProgress, totals: Totals) -> None:
        """Show the newest batch."""

    def close(self, totals: Totals) -> None:
        """Show the end."""


def build_view(
    stream: TextIO, terminal: str | None = None, log_format: str = "text"
) -> ProgressView:
    """Build the view that suits the output.

    Args:
        stream: standard output.
        terminal: the terminal's device, if ``stream`` is a pipe: spark-submit gives a Python job a
            pipe, and ./spark-submit.sh names the device in SCORE_TERMINAL.
        log_format: the form of the log; with "json" every output gets lines of JSON.
    """
    if log_format == "json":
        return PlainView(stream, JsonLines())
    if stream.isatty():
        console = Console(file=stream)
    elif terminal:
        # The device stays open until the process ends.
        device = Path(terminal).open("w")  # noqa: SIM115
        console = Console(file=device, force_terminal=True)
    else:
        return PlainView(stream)
    # A live view would show nothing on a terminal that cannot move its cursor.
    return PlainView(stream) if console.is_dumb_terminal else LiveView(console)


def format_batch(batch: BatchProgress, totals: Totals) -> str:
    """Format a batch as one line: rate, lag, duration, predictions, dead letters."""
    lag, end_lag = _format_count(batch.lag_records), _format_count(batch.end_lag_records)
    return (
        f"batch {batch.batch_id}: {batch.records:,} records in {batch.duration_ms:,} ms"
        f" | {batch.rate:,.0f}/s | lag {lag}, to the end {end_lag}"
        f" | predictions {totals.predictions:,} | dead letters {totals.dead_letters:,}"
    )


def format_totals(totals: Totals) -> str:
    """Format the last line."""
    return (
        f"stopped after {totals.batches:,} batches: {totals.records:,} records,"
        f" {totals.predictions:,} predictions, {totals.dead_letters:,} dead letters"
    )


def stamp(line: str) -> str:
    """Put the local time before a line, as the log has it."""
    return f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}"


def _format_count(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,}"


class Lines(Protocol):
    """Writes each report as one line, without its end."""

    def write_batch(self, batch: BatchProgress, totals: Totals) -> str:
        """Write the line of a batch."""

    def write_totals(self, totals: Totals) -> str:
        """Write the last line."""


class TextLines:
    """Writes lines for people."""

    def write_batch(self, batch: BatchProgress, totals: Totals) -> str:
        """Write the time and the text of a batch."""
        return stamp(format_batch(batch, totals))

    def write_totals(self, totals: Totals) -> str:
        """Write the time and the text of the end."""
        return stamp(format_totals(totals))


class JsonLines:
    """Writes lines of JSON, which have the numbers of the text as fields."""

    def write_batch(self, batch: BatchProgress, totals: Totals) -> str:
        """Write the text of a batch, and its numbers."""
        return build_line(
            *("INFO", PROGRESS_LOGGER, format_batch(batch, totals)),
            batch=batch.batch_id,
            records=batch.records,
            duration_ms=batch.duration_ms,
            rate=round(batch.rate, 1),
            lag_records=batch.lag_records,
            end_lag_records=batch.end_lag_records,
            predictions=totals.predictions,
            dead_letters=totals.dead_letters,
        )

    def write_totals(self, totals: Totals) -> str:
        """Write the text of the end, and its numbers."""
        return build_line("INFO", PROGRESS_LOGGER, format_totals(totals), **asdict(totals))


class PlainView:
    """Writes lines for logs, at most one in ten seconds; the last one of a burst waits no longer.

    Args:
        stream: the stream that the lines go to.
        lines: the form of the lines.
    """

    def __init__(self, stream: TextIO, lines: Lines | None = None) -> None:
        self._stream = stream
        self._lines = lines or TextLines()
        self._last_s = float("-inf")
        self._pending: str | None = None
        # The timer that writes the pending line, unless it has been written before.
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def show(self, batch: BatchProgress, totals: Totals) -> None:
        """Show the newest batch."""
        with self._lock:
            self._pending = self._lines.write_batch(batch, totals)
            wait_s = self._last_s + _PLAIN_INTERVAL_S - time.monotonic()
            if wait_s <= 0:
                self._write_pending()
            elif self._timer is None:
                self._timer = threading.Timer(wait_s, self._flush)
                self._timer.daemon = True
                self._timer.start()

    def close(self, totals: Totals) -> None:
        """Show the end."""
        self._flush()
        self._write(self._lines.write_totals(totals))

    def _flush(self) -> None:
        with self._lock:
            self._write_pending()

    def _write_pending(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pending is not None:
            self._write(self._pending)
            self._pending, self._last_s = None, time.monotonic()

    def _write(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()


class LiveView:
    """Shows one line that stays in place.

    Args:
        console: the console of a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._live.start()

    def show(self, batch: BatchProgress, totals: Totals) -> None:
        """Show the newest batch."""
        line = stamp(format_batch(batch, totals))
        self._live.update(Text(line, no_wrap=True, overflow="ellipsis"))

    def close(self, totals: Totals) -> None:
        """Show the end."""
        self._live.stop()
        self._console.print(stamp(format_totals(totals)), highlight=False)
