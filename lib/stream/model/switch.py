"""Decides which version of the model scores which batch, and lets another one take its place."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from lib.errors import ModelChangedError, ResumeRefusedError, ScoringError, name_error
from lib.exactly_once.checkpoint.makers import MakerLog
from lib.exactly_once.sink import Making
from lib.settings.command import START_LOGGER
from lib.stream.model.serving import ModelKey, Serving

logger = logging.getLogger(START_LOGGER)

# The note about a batch that any version may repeat.
_FREE = "free"


class ModelSwitch:
    """Lets the version that was offered last score from the next new batch on.

    Guarantee: a batch that is repeated, by this run or the next one, is scored by the version that
    was the first to score it, as long as the checkpoint lives. For this a change is noted in the
    checkpoint before the first batch is scored that it concerns. A batch is free for another
    version where that one cannot finish it: when a run gives up, or two runs have died in it.

    A query has the model of the JVM in its plan: it ends and starts again with another one. Models
    in Python workers change while the query runs, if it calls :meth:`choose` for each batch.

    Args:
        log: the notes of the checkpoint.
        serving: the version with which the job has started.
        load: a function that loads the version of a note.
        on_change: a function that is called with each version that scores from now on.
        asks: whether the query calls :meth:`choose`; otherwise each change is a new start.
    """

    def __init__(
        self,
        log: MakerLog,
        serving: Serving,
        load: Callable[[ModelKey], Serving],
        on_change: Callable[[Serving], None],
        *,
        asks: bool,
    ) -> None:
        self._log = log
        self._load = load
        self._on_change = on_change
        self._asks = asks
        self._lock = threading.RLock()
        self._serving = serving
        self._offered: Serving | None = None
        # The newest batch that has begun: who makes it is decided.
        self._begun = -1
        # The batch for which the query waits with a version that is not to stay.
        self._repeated: int | None = None
        self._is_ended = False

    @property
    def serving(self) -> Serving:
        """The version that scores now."""
        return self._serving

    @property
    def is_repeating(self) -> bool:
        """Whether the query was started for one batch only, with the version that began it."""
        return self._repeated is not None

    def offer(self, serving: Serving) -> None:
        """Let a version score from the next new batch on; from any thread."""
        with self._lock:
            self._offered = None if serving.key == self._serving.key else serving

    def begin(self, *, is_free: bool = False) -> Serving:
        """Choose the version of the next batch, at a start of the query.

        Args:
            is_free: whether any version may repeat a batch that was begun.

        Raises:
            ResumeRefusedError: the version that has begun the next batch cannot be loaded any more.
        """
        with self._lock:
            self._is_ended, self._repeated = False, None
            batch, is_begun = self._log.find_next()
            is_bound = is_begun and not is_free and self._log.find(batch) != _FREE
            if is_bound:
                self._return_to_first(batch)
            elif self._offered is not None:
                self._adopt(self._offered, batch)
            if is_bound and not self._asks and self._offered is not None:
                self._repeated = batch
            self._begun = batch if is_begun else batch - 1
            if self._log.find(batch) != self._serving.key.to_text():
                self._log.note(batch, self._serving.key.to_text())
            return self._serving

    def choose(self, batch_id: int) -> Making:
        """Choose who makes a batch that a running query is about to make.

        Raises:
            ModelChangedError: another version does, and only a new start of the query can tell it.
        """
        with self._lock:
            if batch_id > self._begun:
                self._begun, offered = batch_id, self._offered
                if offered is not None:
                    self._log.note(batch_id, offered.key.to_text())
                    if not (self._serving.scores_in_workers and offered.scores_in_workers):
                        self._is_ended = True
                        raise ModelChangedError(
                            f"{offered.key} scores from batch {batch_id} on: the query starts again"
                        )
                    self._adopt(offered, batch_id)
            return self._serving.making

    def release(self) -> None:
        """Let any version repeat the batch under way, because the run gives up on it."""
        with self._lock:
            try:
                batch, is_begun = self._log.find_next()
                if is_begun:
                    self._log.note(batch, _FREE)
            except Exception as error:  # noqa: BLE001 - the JVM may be the reason for the end
                logger.info("the batch was not released error=%s", name_error(error))

    def has_to_end(self, find_finished: Callable[[], int]) -> bool:
        """Tell whether the query has to end and start again with another version.

        Args:
            find_finished: a function that finds the newest batch that the query has finished; -1
                for none.
        """
        with self._lock:
            if self._asks or self._offered is None:
                return self._is_ended
            return self._repeated is None or find_finished() >= self._repeated

    def _return_to_first(self, batch: int) -> None:
        """Let a batch be scored by the version that was the first to score it."""
        text = self._log.find(batch)
        if text is None or text == self._serving.key.to_text():
            return
        if self._offered is not None and text == self._offered.key.to_text():
            self._adopt(self._offered, batch)
            return
        first = self._load_again(text, batch)
        logger.info("batch %d was begun with %s, which scores it again", batch, first.key)
        self._offered = self._offered or self._serving
        self._use(first)

    def _load_again(self, text: str, batch: int) -> Serving:
        note = self._log.name_note(batch)
        try:
            return self._load(ModelKey.from_text(text))
        except ValueError as error:
            reason = str(error)
        except ScoringError as error:
            reason = error.message
        raise ResumeRefusedError(
            f"batch {batch} was begun with another model, which has to score it again: {reason}",
            hint=f"put that model back; or remove the notes up to {note} in the checkpoint, and"
            f" {self._serving.key} scores the batch, which may be visible in part",
        )

    def _adopt(self, serving: Serving, batch: int) -> None:
        """Let the version that was offered score from a batch on."""
        logger.info("%s scores from batch %d on, after %s", serving.key, batch, self._serving.key)
        self._offered = None
        self._use(serving)

    def _use(self, serving: Serving) -> None:
        self._serving.failures.tell(is_last=True)
        self._serving = serving
        self._on_change(serving)
