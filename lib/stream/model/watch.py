"""Watches which version is the champion, and makes a new one ready beside the one that scores."""

from __future__ import annotations

import logging
from collections.abc import Callable

from lib.background import Background
from lib.errors import ScoringError, name_error
from lib.settings.command import START_LOGGER
from lib.settings.domain import choose_model
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.store import ModelReference, ModelStore
from lib.store.reference import is_url
from lib.stream.model.serving import ModelKey, Serving
from lib.stream.warm_up import WarmUp

logger = logging.getLogger(START_LOGGER)

# The end of the job does not wait for a model that is being loaded.
_PATIENCE_S = 1.0


class ChampionWatch(Background):
    """Looks for another champion, and offers it once it is loaded, probed and warmed up.

    A version that cannot be used is refused and told once; the one that scores goes on. It is tried
    again after the champion was another one meanwhile.

    Args:
        reference: the name of the model, whose champion scores.
        backend: the setting of this name.
        interval_s: the time between two looks.
        serving: the version with which the job has started.
        load: a function that loads a version.
        offer: a function that gets a version which may score from the next batch on.
        refuse: a function that gets the name of a version that cannot be used, and the reason.
    """

    def __init__(
        self,
        reference: ModelReference,
        store: ModelStore,
        backend: str,
        interval_s: float,
        serving: Serving,
        load: Callable[[ModelKey], Serving],
        offer: Callable[[Serving], None],
        refuse: Callable[[str, ScoringError], None],
    ) -> None:
        super().__init__("champion watch", patience_s=_PATIENCE_S)
        self._reference = reference
        self._store = store
        self._backend = backend
        self._interval_s = interval_s
        self._load = load
        self._offer = offer
        self._refuse = refuse
        version = serving.scorer.version
        self._seen = None if version is None else version.version
        self._is_lost = False

    @classmethod
    def of(
        cls,
        settings: ScoreStreamSettings,
        serving: Serving,
        load: Callable[[ModelKey], Serving],
        offer: Callable[[Serving], None],
        refuse: Callable[[str, ScoringError], None],
    ) -> ChampionWatch | None:
        """Build the watch of a job; None if its model is no champion, or is not to change."""
        name = settings.model or choose_model(settings)
        if not settings.reload_interval or is_url(name):
            return None
        reference = ModelReference.parse(name)
        if reference.path is not None or reference.version is not None:
            return None
        store = ModelStore(reference.store or settings.store)
        interval_s, backend = settings.reload_interval, settings.backend
        return cls(reference, store, backend, interval_s, serving, load, offer, refuse)

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            try:
                number = self._store.read_champion(self._reference.name)
            except (ScoringError, OSError) as error:
                if not self._is_lost:
                    logger.warning("the champion cannot be read: %s", name_error(error))
                self._is_lost = True
                continue
            self._is_lost = False
            if number != self._seen:
                self._seen = number
                self._make_ready(str(ModelReference(self._reference.name, number)))

    def _make_ready(self, name: str) -> None:
        """Load a version and offer it, or refuse it."""
        logger.info("%s is the champion now, and is made ready", name)
        located = name if self._reference.store is None else f"{self._reference.store}/{name}"
        try:
            serving = self._load(ModelKey(located, self._backend))
        except ScoringError as error:
            self._refuse(name, error)
            return
        except Exception as error:  # noqa: BLE001 - whatever a model raises must not end the watch
            self._refuse(name, ScoringError(f"{name} was not loaded: {name_error(error)}"))
            return
        with WarmUp(serving.spark, serving.scorer, serving.contract, serving.route):
            pass
        if not self._stopped.is_set():
            self._offer(serving)
