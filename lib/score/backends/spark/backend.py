"""The Spark backend: a PipelineModel. It imports without PySpark."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.errors import ModelMismatchError, ModelNotFoundError
from lib.score.artefact import Artefact, find_artefact
from lib.score.base import ModelPath
from lib.score.fallback import NotUsableError
from lib.score.jvm import JvmBackend, require_pyspark
from lib.score.registry import BACKENDS
from lib.score.scorer import ModelScorer
from lib.spark.quoting import name_local_path
from lib.spark.root_cause import find_root_cause
from lib.store.compatibility import check_library
from lib.store.reference import is_url

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class SparkBackend(JvmBackend):
    """Scores with a saved ``PipelineModel``."""

    backend_type = "spark"
    _positive = 1

    def open_model(self) -> tuple[Any, Artefact]:
        """See :meth:`ModelBackend.open_model`."""
        require_pyspark()
        location, artefact = _find(self.model_path)
        self.take_facts(artefact)
        session = self.open_session()
        try:
            from lib.score.backends.spark.pipeline_model import load_pipeline_model

            return load_pipeline_model(location, session), artefact
        except Exception as error:
            raise NotUsableError(f"the model does not load: {find_root_cause(error)}") from error

    def append_probability(self, frame: DataFrame, model: Any, name: str) -> DataFrame:
        """See :meth:`JvmBackend.append_probability`. The columns that the model adds are dropped.

        A row on which a stage raises ends the job, because Spark cannot catch that. So rows have to
        be checked before.
        """
        from lib.score.backends.spark import pipeline_model

        return pipeline_model.append_probability(frame, model, name, self._positive)

    def wrap_model(self, model: Any, name: str) -> ModelScorer:
        """See :meth:`ModelBackend.wrap_model`."""
        from lib.score.backends.spark import pipeline_model

        self._positive = self.find_positive(pipeline_model.read_classes(model), name)
        scorer = super().wrap_model(model, name)
        threshold = pipeline_model.read_threshold(model)
        if threshold is not None:  # the model's own is for the probability of its second class
            scorer.threshold = threshold if self._positive else 1 - threshold
        return scorer


def _find(model_path: ModelPath) -> tuple[str, Artefact]:
    """Find the PipelineModel, by its path or URL for Hadoop, and verify a version."""
    text = os.fspath(model_path)
    if is_url(text):  # Spark finds out whether it exists there
        return text, Artefact(Path(text), None)
    try:
        artefact = find_artefact(model_path, BACKENDS[SparkBackend.backend_type].artefact)
    except ModelNotFoundError as error:
        raise NotUsableError(f"the path does not exist: {error.message}") from error
    if not artefact.path.exists():
        raise NotUsableError(f"the path does not exist: {artefact.path}")
    if artefact.version is not None:
        artefact.version.verify()
        try:
            check_library(artefact.version.metadata, "pyspark")
        except ModelMismatchError as error:
            raise NotUsableError(f"the model does not load: {error.message}") from error
    return name_local_path(artefact.path), artefact
