"""Runs a shadow in a Python worker on a thread of its own, so that it delays no answer for long."""

from __future__ import annotations

import ctypes
import logging
import threading
import time

import numpy as np

from lib.encode.shadow import ShadowScores
from lib.score.scorer import BatchScorer, ScoreColumns
from lib.score.workers.halves import ColumnRows
from lib.stream.trial.isolation import score_rows

logger = logging.getLogger(__name__)

#: A shadow may take so many times as long as the answer itself, and at least so long. A model that
#: is much slower than the champion would only hold the job up.
PATIENCE, LEAST_S = 10.0, 1.0
#: A worker opens each shadow once. The champion takes as long for this, and the warm-up does both.
OPENING_S = 10.0
#: After a batch that a shadow did not finish in time, it rests for so long, and longer each time:
#: each try may hold a batch up for the whole of its time.
REST_S, MOST_REST_S = 60.0, 3_600.0
#: The error of a record that comes while a shadow rests after a batch that took too long.
TOO_SLOW = TimeoutError.__name__


class ShadowThread:
    """Scores batches, each within a time limit. Used in a worker, by one thread at a time.

    After a batch that was not finished in time, and after a model that could not be opened, the
    shadow rests: meanwhile each record gets the error at once. A thread that still runs Python code
    is told to end, as it would take its time from the champion's; one that hangs in a library is
    left alone.

    Args:
        scorer: the model.
        name: the name of model and backend.
    """

    def __init__(self, scorer: BatchScorer, name: str) -> None:
        self._scorer = scorer
        self._name = name
        self._score: ScoreColumns | None = None
        self._work: _Work | None = None
        self._rest_s = REST_S
        self._rests_until_s = 0.0
        self._error = TOO_SLOW

    def score(self, rows: ColumnRows, limit_s: float) -> ShadowScores:
        """Score a batch, or say why not.

        Args:
            rows: n rows.
            limit_s: the time limit in seconds.
        """
        is_busy = self._work is not None and self._work.is_alive()
        if is_busy or time.monotonic() < self._rests_until_s:
            return _refuse(len(rows), self._error)
        if self._score is None:
            limit_s = max(limit_s, OPENING_S)
        work = self._work = _Work(self._scorer, self._score, rows, limit_s)
        work.start()
        work.join(limit_s)
        if work.is_alive():
            work.end()
            self._rest(TOO_SLOW, f"took longer than {limit_s:.1f} s")
            return _refuse(len(rows), TOO_SLOW)
        self._work = None
        if work.scores is None:
            error = type(work.error).__name__
            self._rest(error, f"cannot be used: {error}")
            return _refuse(len(rows), self._error)
        self._score, self._rest_s = work.score, REST_S
        return work.scores

    def _rest(self, error: str, what: str) -> None:
        logger.warning("shadow %s %s: it rests for %.0f s", self._name, what, self._rest_s)
        self._error, self._rests_until_s = error, time.monotonic() + self._rest_s
        self._rest_s = min(2 * self._rest_s, MOST_REST_S)


class _Work(threading.Thread):
    """Opens the model if it is not open, and scores one batch."""

    def __init__(
        self, scorer: BatchScorer, score: ScoreColumns | None, rows: ColumnRows, limit_s: float
    ) -> None:
        super().__init__(name="shadow", daemon=True)
        self._scorer = scorer
        self._rows = rows
        # The last calls have to end within the limit too.
        self._until_s = time.monotonic() + limit_s / 2
        self.score = score
        self.scores: ShadowScores | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            score = self.score = self.score or self._scorer.open()
            self.scores = score_rows(lambda rows: score(rows.columns), self._rows, self._until_s)
        except BaseException as error:  # noqa: BLE001 - nothing of a shadow may end the worker
            self.error = error

    def end(self) -> None:
        """Raise SystemExit in the thread as soon as it runs Python code, as if it called exit."""
        assert self.ident is not None
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(self.ident), ctypes.py_object(SystemExit)
        )


def _refuse(count: int, error: str) -> ShadowScores:
    return ShadowScores(np.full(count, np.nan), np.full(count, error, dtype=object))
