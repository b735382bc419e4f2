"""Keeps what the job is doing now, since when and why, and what has happened so far."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

# The time line keeps so many events. The oldest ones are forgotten first.
_KEPT_EVENTS = 200
# A main thread that has not looked at its query for so long hangs. Calls to the JVM take less.
_HANGS_AFTER_S = 60.0


class State(StrEnum):
    """The states of the job."""

    STARTING = "starting"
    TAKING_OVER = "taking_over"
    RUNNING = "running"
    RESTARTING = "restarting"
    STUCK = "stuck"
    STOPPING = "stopping"


@dataclass(frozen=True)
class Event:
    """One event of the time line.

    Attributes:
        at_s: the time in seconds since 1970.
        kind: a state, or one of ``model``, ``outcomes``, ``challenger``, ``shadow``, ``failure``,
            ``fenced``, ``replay``, ``drift``, ``brake``.
        text: one sentence or phrase, without record contents and secrets.
    """

    at_s: float
    kind: str
    text: str


@dataclass(frozen=True)
class Status:
    """The present state.

    Attributes:
        state: the state itself.
        reason: a phrase that says why, or what the job waits for; empty while it runs.
        since_s: the time in seconds since 1970 at which it came into the state.
        is_ready: whether it scores records, or would if there were any.
        is_live: whether its main thread works; a supervisor may kill a job that is not live.
    """

    state: State
    reason: str
    since_s: float
    is_ready: bool
    is_live: bool


class JobState:
    """The state of the job and the events so far; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state = State.STARTING
        self._reason = ""
        self._since_s = time.time()
        self._beat_s: float | None = None
        self._events: deque[Event] = deque(maxlen=_KEPT_EVENTS)

    def enter(self, state: State, reason: str = "") -> None:
        """Note what the job does from now on; an event marks each change of the state.

        A job that is stopping stays so.
        """
        with self._lock:
            if self._state is State.STOPPING:
                return
            if state is not self._state or not self._events:
                self._state, self._since_s = state, time.time()
                self._events.append(Event(self._since_s, str(state), reason))
            self._reason = reason

    def add(self, kind: str, text: str) -> None:
        """Add an event that does not change the state."""
        with self._lock:
            self._events.append(Event(time.time(), kind, text))

    def beat(self) -> None:
        """Note that the main thread looks after its query."""
        self._beat_s = time.monotonic()

    @property
    def status(self) -> Status:
        """The present state."""
        with self._lock:
            is_silent = (
                self._beat_s is not None and time.monotonic() - self._beat_s > _HANGS_AFTER_S
            )
            # Only a query that runs is looked after; a start and a stop have limits of their own.
            is_live = not (is_silent and self._state in (State.RUNNING, State.STUCK))
            is_ready = self._state is State.RUNNING and is_live
            return Status(self._state, self._reason, self._since_s, is_ready, is_live)

    @property
    def events(self) -> list[Event]:
        """The events so far, the oldest first."""
        with self._lock:
            return list(self._events)
