"""Shows how many messages are sent: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

# The shortest time between two lines in a log file.
_PLAIN_INTERVAL_S = 2.0
_LIVE_INTERVAL_S = 0.1


class SendView(Protocol):
    """Shows how many messages have been sent."""

    def show(self, sent: int) -> None:
        """Show the number, if the last time was long enough ago."""

    def close(self, sent: int) -> None:
        """Show the end."""


def build_send_view(stream: TextIO, topic: str, total: int | None) -> SendView:
    """Build the view that suits a stream.

    Args:
        stream: a terminal or a file.
        topic: the name of the topic, for the text.
        total: the number of messages to send; None if it is not known.
    """
    if stream.isatty():
        console = Console(file=stream)
        if not console.is_dumb_terminal:
            return LiveSendView(console, topic, total)
    return PlainSendView(stream, topic, total)


class PlainSendView:
    """Writes lines for logs, one in two seconds."""

    def __init__(self, stream: TextIO, topic: str, total: int | None) -> None:
        self._stream = stream
        self._topic = topic
        self._of_total = "" if total is None else f" of {total:,}"
        self._started_s = self._last_s = time.monotonic()

    def show(self, sent: int) -> None:
        """See :meth:`SendView.show`."""
        now_s = time.monotonic()
        if now_s - self._last_s >= _PLAIN_INTERVAL_S:
            self._last_s = now_s
            rate = sent / (now_s - self._started_s)
            line = f"{sent:,}{self._of_total} sent to {self._topic} | {rate:,.0f}/s"
            print(line, file=self._stream, flush=True)

    def close(self, sent: int) -> None:
        """Show nothing, because the report follows."""


class LiveSendView:
    """Shows a bar that stays in place."""

    def __init__(self, console: Console, topic: str, total: int | None) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task(f"sending to {topic}", total=total)
        self._last_s = 0.0
        self._progress.start()

    def show(self, sent: int) -> None:
        """See :meth:`SendView.show`."""
        now_s = time.monotonic()
        if now_s - self._last_s >= _LIVE_INTERVAL_S:
            self._last_s = now_s
            self._progress.update(self._task, completed=sent)

    def close(self, sent: int) -> None:
        """Remove the bar."""
        self._progress.update(self._task, completed=sent)
        self._progress.stop()


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s")
