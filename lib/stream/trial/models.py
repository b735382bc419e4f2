"""Loads the challenger and the shadows, and plans how they score beside the champion."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pyspark.sql import SparkSession

from lib.errors import SettingsError
from lib.messages.dead_letter import MessageSettings
from lib.messages.effects import Reasons
from lib.record.contract import Contract
from lib.score.base import ModelBackend
from lib.score.choice import load_rival
from lib.score.workers.failures import TOLERANT, FailurePolicy
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.stream.mode_check import refuse_native
from lib.stream.one_pass import BatchPlan
from lib.stream.reasons import find_reasons
from lib.stream.trial.batch_plan import ChallengerPlan, ShadowPlan, TrialBatchPlan
from lib.stream.watch.model_failures import ModelFailures

logger = logging.getLogger(__name__)

_CHALLENGER, _SHADOW = "--challenger", "--shadow"


@dataclass(frozen=True)
class Rival:
    """A loaded model that scores beside the champion.

    Attributes:
        scorer: the loaded backend.
        reasons: the reasons that its messages carry; None for none.
    """

    scorer: ModelBackend
    reasons: Reasons | None = None

    @property
    def name(self) -> str:
        """The name of model and backend."""
        return self.scorer.scored_by

    def adapt(self, champion: MessageSettings) -> MessageSettings:
        """Return the settings of its messages, made from those of the champion's."""
        output = replace(champion.output, reasons=self.reasons)
        return replace(
            champion, output=output, threshold=self.scorer.threshold, model_version=self.name
        )


@dataclass(frozen=True)
class Trial:
    """The models that score beside the champion.

    Attributes:
        challenger: the model that answers a share of the records; None for none.
        share: the share in (0, 1).
        shadows: the models whose answers go to a topic of their own.
        failures: the policy about rows on which the challenger fails.
        query: a name for the query.
    """

    challenger: Rival | None = None
    share: float = 0.0
    shadows: tuple[Rival, ...] = ()
    failures: FailurePolicy = TOLERANT
    query: str = field(default_factory=lambda: uuid.uuid4().hex)

    def describe(self) -> tuple[str, float, list[str]]:
        """Return the challenger's name, its share, and the names of the shadows."""
        name = "" if self.challenger is None else self.challenger.name
        return name, self.share, [shadow.name for shadow in self.shadows]

    def list_scorers(self) -> list[ModelBackend]:
        """List the loaded backends of all models."""
        first = () if self.challenger is None else (self.challenger,)
        return [rival.scorer for rival in (*first, *self.shadows)]

    def check_engine(self, champion: ModelBackend) -> None:
        """Refuse a challenger that scores in another engine than the champion.

        Raises:
            SettingsError: one of them scores in Spark's JVM, the other one in Python workers.
        """
        if self.challenger is not None and self.challenger.scorer.is_native != champion.is_native:
            places = "in Python workers", "inside Spark's JVM"
            own, wanted = places[self.challenger.scorer.is_native], places[champion.is_native]
            raise SettingsError(
                f"--challenger: found the model {self.challenger.name}, which scores {own},"
                f" expected one that scores {wanted}, as the champion {champion.scored_by} does",
                hint="name another --backend for the champion, or a version that has such a form",
            )

    def count_failures(self, failures: ModelFailures) -> Trial:
        """Let the rows be counted and told on which the challenger fails, as those of a champion.

        A shadow fails in silence: its messages say so.
        """
        if self.challenger is None:
            return self
        return replace(self, failures=failures.watch(self.challenger.name))

    def join(self, session: SparkSession, champion: BatchPlan) -> BatchPlan | TrialBatchPlan:
        """Add the models to the champion's plan, which is returned as it is if there are none.

        Args:
            session: the session whose executors get the models.
            champion: the plan of the champion.
        """
        if self.challenger is None and not self.shadows:
            return champion
        challenger = None
        if self.challenger is not None:
            score = self.challenger.scorer.build_batch_scorer(session)
            settings = self.challenger.adapt(champion.settings)
            plan = BatchPlan(score, settings, self.failures)
            challenger = ChallengerPlan(plan, self.share)
        shadows = (
            ShadowPlan(
                it.scorer.build_batch_scorer(session), it.adapt(champion.settings), self.query
            )
            for it in self.shadows
        )
        return TrialBatchPlan(champion, challenger, tuple(shadows))


#: The champion scores alone.
NO_TRIAL = Trial()


def load_trial(
    spark: SparkSession, settings: ScoreStreamSettings, champion: ModelBackend, contract: Contract
) -> Trial:
    """Load the challenger and the shadows that the settings name.

    Args:
        spark: the session to score in.
        settings: the settings of the job.
        champion: the loaded champion.
        contract: the contract of the records.

    Raises:
        ModelError: a model cannot be used; see :func:`lib.score.choice.load_rival`.
        SettingsError: a model scores in an engine that does not fit, is named twice, or has no
            reasons.
    """
    found = [
        (flag, _load(spark, settings, name, contract, champion))
        for flag, name in _list_flags(settings)
    ]
    names = choose_rivals(champion.scored_by, [(flag, rival.name) for flag, rival in found])
    chosen = [(flag, rival) for flag, rival in found if rival.name in names]
    challenger = next((rival for flag, rival in chosen if flag == _CHALLENGER), None)
    shadows = tuple(rival for flag, rival in chosen if flag == _SHADOW)
    for shadow in shadows:
        refuse_native(_SHADOW, shadow.name, is_native=shadow.scorer.is_native)
    trial = Trial(challenger, settings.challenger_share, shadows)
    trial.check_engine(champion)
    return trial


def _list_flags(settings: ScoreStreamSettings) -> list[tuple[str, str]]:
    """List (flag, model) of all rivals, the challenger first."""
    challengers = [settings.challenger] if settings.challenger else []
    return [
        *((_CHALLENGER, name) for name in challengers),
        *((_SHADOW, name) for name in settings.shadow),
    ]


def _load(
    spark: SparkSession,
    settings: ScoreStreamSettings,
    name: str,
    contract: Contract,
    champion: ModelBackend,
) -> Rival:
    scorer = load_rival(spark, settings, name, contract, is_native=champion.is_native)
    return Rival(scorer, find_reasons(scorer, settings.reasons))


def choose_rivals(champion: str, rivals: Sequence[tuple[str, str]]) -> set[str]:
    """Choose the models that somebody can tell from the champion in the messages. Pure.

    A model that was promoted while it was a rival is left out: a job that is started again has the
    same settings, and must not be refused for it.

    Args:
        champion: the name of the champion's model and backend.
        rivals: (flag, name of model and backend) of the others.

    Returns:
        The names of the models that score.

    Raises:
        SettingsError: two flags name the same model.
    """
    flags: dict[str, str] = {}
    for flag, name in rivals:
        if name in flags:
            raise SettingsError(
                f"{flag}: found {name}, which {flags[name]} names too, expected another model:"
                " nobody could tell their answers apart",
                hint="name another version, or leave it out",
            )
        flags[name] = flag
    if champion in flags:
        logger.warning(
            "%s names %s, which is the champion: it is left out", flags.pop(champion), champion
        )
    return set(flags)
