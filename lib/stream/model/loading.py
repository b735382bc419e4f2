"""Loads another version of the model while the job runs."""

from __future__ import annotations

from pyspark.sql import SparkSession

from lib.errors import ModelMismatchError
from lib.messages.dead_letter import OutputSettings
from lib.record.contract import Contract
from lib.score.choice import find_contract, find_model, load_backend
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.stream.mode_check import check_mode
from lib.stream.model.serving import ModelKey, Serving
from lib.stream.route import choose_route
from lib.stream.trial.models import NO_TRIAL, Trial


class ModelLoader:
    """Loads versions as the start of the job does, for the contract with which it has started.

    Args:
        spark: the session.
        settings: the settings of the job, which also hold for other versions.
        contract: the contract of the records.
        output: the topics and the format of the messages.
        trial: the other models that score the same records.
    """

    def __init__(
        self,
        spark: SparkSession,
        settings: ScoreStreamSettings,
        contract: Contract,
        output: OutputSettings,
        trial: Trial = NO_TRIAL,
    ) -> None:
        self._spark = spark
        self._settings = settings
        self._contract = contract
        self._output = output
        self._trial = trial

    def load(self, key: ModelKey) -> Serving:
        """Load, verify and probe a model, and choose the way of its records.

        Raises:
            ModelError: there is no such model, it is damaged, it does not score the records that
                the contract allows, or it was made for another contract.
            SettingsError: the settings of the job do not fit the model.
        """
        settings = self._settings.model_copy(update={"model": key.model, "backend": key.backend})
        path = find_model(settings)
        contract = find_contract(settings, path)
        if contract != self._contract:
            raise ModelMismatchError(
                f"{key.model}: found a model of another contract ({contract.name}) than the job"
                f" has started with ({self._contract.name})",
                hint="start the job again to score with it: records are checked by the new contract"
                " then",
            )
        scorer = load_backend(self._spark, settings, path)
        route = choose_route(self._spark, settings, scorer)
        check_mode(self._spark, settings, scorer, route)
        return Serving.build(
            *(self._spark, settings, scorer, contract, route, self._output, self._trial)
        )
