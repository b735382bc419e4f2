"""Repeats a batch without the messages that may be left out, if it failed with them. Pure.

A function that makes messages may have an attribute ``spare``: another function, which makes those
that must not be lacking. A batch that fails for a reason that may lie in the others is repeated
with it at once, and so are the batches of some time after it: each failure costs a batch's time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from lib.errors import QueryFailedError, ScoringError, SinkRejectedError, WorkerError
from lib.exactly_once.commit.base import ArrowMap, Batch
from lib.exactly_once.transaction.writer import WriteReport

logger = logging.getLogger(__name__)

#: The time for which the spare function is taken after a failure. It doubles with each failure
#: until a batch succeeds.
REST_S, MOST_REST_S = 60.0, 3_600.0
#: The failures that may lie in messages that may be left out: a worker that has ended, an exception
#: in a worker, and a message that Kafka refuses for good.
MAY_BE_SPARED = (QueryFailedError, WorkerError, SinkRejectedError)

Write = Callable[[Batch], WriteReport]


def find_spare(function: ArrowMap | None) -> ArrowMap | None:
    """Find the function that makes only the messages that must not be lacking; None for none."""
    spare: ArrowMap | None = getattr(function, "spare", None)
    return spare


class SpareWriting:
    """Writes batches, without the messages that may be left out where they may be at fault.

    Args:
        may_repeat: a function that tells whether a batch that failed may be repeated at once.
        forgive: a function that is called before a batch is repeated of which Kafka has refused a
            message.
    """

    def __init__(self, may_repeat: Callable[[], bool], forgive: Callable[[], None]) -> None:
        self._may_repeat = may_repeat
        self._forgive = forgive
        self._rest_s = REST_S
        self._rests_until_s = 0.0
        # The batch that was begun with all messages, and whose end nobody has seen.
        self._begun: int | None = None

    def write(self, batch: Batch, write: Write) -> WriteReport:
        """Write a batch.

        Args:
            batch: the batch.
            write: a function that writes it.

        Raises:
            ScoringError: the batch was not written, also without the messages that may be left out.
        """
        spare = find_spare(batch.map_in_arrow)
        if spare is None:
            return write(batch)
        without = replace(batch, map_in_arrow=spare)
        is_repeated = batch.is_suspect or batch.batch_id == self._begun
        if is_repeated or time.monotonic() < self._rests_until_s:
            if is_repeated:
                self._rest(batch, "it was begun before, and not finished")
            return replace(write(without), is_spare=True)
        self._begun = batch.batch_id
        try:
            report = write(batch)
        except ScoringError as error:
            if not isinstance(error, MAY_BE_SPARED):
                self._begun = None  # such an error has another cause
            if self._begun is None or not self._may_repeat():
                raise
            self._rest(batch, error.message)
            if isinstance(error, SinkRejectedError):
                self._forgive()
            return replace(write(replace(without, is_repeated=True)), is_spare=True)
        self._begun, self._rest_s = None, REST_S
        return report

    def _rest(self, batch: Batch, reason: str) -> None:
        logger.warning(
            "batch=%d is written without what shadows answer, and they rest for %.0f s: %s",
            *(batch.batch_id, self._rest_s, reason),
        )
        self._begun = None
        self._rests_until_s = time.monotonic() + self._rest_s
        self._rest_s = min(2 * self._rest_s, MOST_REST_S)
