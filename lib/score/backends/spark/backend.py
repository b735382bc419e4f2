"""The Spark backend: a PipelineModel, with scikit-learn to fall back on.

Imports without PySpark.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lib.errors import ModelMismatchError, ModelNotFoundError, name_error
from lib.score.artefact import Artefact, find_artefact
from lib.score.base import ModelPath
from lib.score.fallback import NotUsableError
from lib.score.jvm import JvmBackend
from lib.store.compatibility import check_library
from lib.store.version import SPARK_ARTEFACT

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class SparkBackend(JvmBackend):
    """Scores with a saved ``PipelineModel``; see :class:`FallbackBackend` for what stands in."""

    backend_type = "spark"
    kind = "Spark"

    def _load_in_spark(self) -> None:
        location, artefact = _find(self.model_path)
        session = self._open_session()
        try:
            from lib.score.backends.spark import pipeline_model

            model = pipeline_model.load_pipeline_model(location, session)
        except Exception as error:
            raise NotUsableError(f"the model does not load: {name_error(error)}") from error
        self._adopt(model, version=artefact.version, label=artefact.label)

    def _append_own(self, frame: DataFrame) -> DataFrame:
        """In the JVM. The columns that the model adds on its way are dropped.

        A row on which a stage raises ends the job: Spark has no way to catch it, so rows have to be
        checked before.
        """
        from lib.score.backends.spark import pipeline_model

        return pipeline_model.append_probability(frame, self.model, self.scored_by)


def _find(model_path: ModelPath) -> tuple[str, Artefact]:
    """Where Spark reads the PipelineModel, and what it is; a version is verified."""
    text = os.fspath(model_path)
    if "://" in text:  # on a remote file system: Spark finds out whether it is there
        return text, Artefact(Path(text), None)
    try:
        artefact = find_artefact(model_path, SPARK_ARTEFACT)
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
    # With a scheme: Spark's default file system may be another one.
    return artefact.path.resolve().as_uri(), artefact
