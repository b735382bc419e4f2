"""A loaded model, with all that the query makes of records with it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from pyspark.sql import DataFrame, SparkSession

from lib.decode.engines.workers import select_for_workers
from lib.exactly_once.sink import Making
from lib.messages.dead_letter import OutputSettings
from lib.record.contract import Contract
from lib.score.base import ModelBackend
from lib.score.workers.message_check import MessageCheck
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.store import ModelReference
from lib.stream.drift.binning import find_binning
from lib.stream.plan import ScoringPlan, plan_batches, plan_scoring
from lib.stream.reasons import find_reasons
from lib.stream.route import Route
from lib.stream.trial.models import NO_TRIAL, Trial
from lib.stream.watch.model_failures import ModelFailures


@dataclass(frozen=True)
class ModelKey:
    """The name by which a model is loaded again.

    Attributes:
        model: ``NAME@VERSION`` of a stored version; a path or URL of any other model.
        backend: the engine that scores.
    """

    model: str
    backend: str

    @classmethod
    def of(cls, scorer: ModelBackend, model: str) -> Self:
        """Name a loaded model; ``model`` is the name that the settings give it."""
        version, backend = scorer.version, scorer.scored_by.rpartition("/")[2]
        if version is None:
            return cls(model, backend)
        store = ModelReference.parse(model).store if model else None
        return cls(version.reference if store is None else f"{store}/{version.reference}", backend)

    def to_text(self) -> str:
        """Write the name as one line."""
        return json.dumps({"model": self.model, "backend": self.backend})

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what :meth:`to_text` has written.

        Raises:
            ValueError: the text is something else.
        """
        match json.loads(text):
            case {"model": str(model), "backend": str(backend)}:
                return cls(model, backend)
        raise ValueError(f"found {text[:80]!r}, expected the name of a model")

    def __str__(self) -> str:
        """Return the name as messages carry it."""
        return f"{self.model}/{self.backend}"


@dataclass(frozen=True)
class Serving:
    """One loaded model and what the query makes of records with it.

    Attributes:
        key: the name by which it is loaded again.
        scorer: the loaded backend.
        contract: the contract of the records.
        route: the way of the records.
        output: the topics and the format of the messages.
        failures: the failures of this model.
        spark: the session.
        trial: the other models that score the same records.
    """

    key: ModelKey
    scorer: ModelBackend
    contract: Contract
    route: Route
    output: OutputSettings
    failures: ModelFailures
    spark: SparkSession
    trial: Trial = NO_TRIAL

    @classmethod
    def build(
        cls,
        spark: SparkSession,
        settings: ScoreStreamSettings,
        scorer: ModelBackend,
        contract: Contract,
        route: Route,
        output: OutputSettings,
        trial: Trial = NO_TRIAL,
    ) -> Self:
        """Put together what belongs to a loaded model.

        Args:
            spark: the session.
            settings: the settings of the job.
            scorer: the loaded backend.
            contract: the contract of the records.
            route: the way of the records.
            output: the topics and the format of the messages; reasons and bins are those of the
                model.
            trial: the other models that score the same records.

        Raises:
            SettingsError: the model has no effects of its fields, and reasons are asked for; or it
                scores in another engine than the challenger.
            ModelCorruptError: its effects or its profile are not those that were saved.
        """
        trial.check_engine(scorer)
        reasons, binning = find_reasons(scorer, settings.reasons), find_binning(scorer, settings)
        failures = ModelFailures(spark, scorer.scored_by, settings.model_failure_limit)
        return cls(
            ModelKey.of(scorer, settings.model),
            scorer,
            contract,
            route,
            replace(output, reasons=reasons, binning=binning),
            failures,
            spark,
            trial.count_failures(failures),
        )

    @property
    def scores_in_workers(self) -> bool:
        """Whether the model is no part of the query's plan, and can change between two batches."""
        return self.route.score == "workers"

    def plan(self, records: DataFrame) -> ScoringPlan:
        """Plan how records become messages; see :func:`lib.stream.plan.plan_scoring`."""
        return plan_scoring(
            *(records, self.scorer, self.contract, self.output, self.route),
            *(self.failures.policy, self.trial),
        )

    @cached_property
    def making(self) -> Making:
        """The functions with which the sink makes the messages of a batch."""
        if not self.scores_in_workers:
            policy = self.failures.policy
            check = MessageCheck.of(self.scorer.scored_by, policy, self.output)
            return Making(remake=lambda records: self.plan(records).frame, check=check)
        # Workers that score count for themselves.
        plan = plan_batches(
            *(self.spark, self.scorer, self.contract, self.output),
            *(self.failures.policy, self.trial),
        )
        return Making(plan, select_for_workers)
