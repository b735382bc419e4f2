"""The Spark backend: a PipelineModel, with scikit-learn to fall back on.

Imports without PySpark.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lib.errors import ModelMismatchError, ModelNotFoundError
from lib.scoring.artefact import Artefact, find_artefact
from lib.scoring.base import (
    PROBABILITY_COLUMN,
    ModelBackend,
    ModelPath,
    ModelUnavailableError,
    Probabilities,
    refuse_probability_column,
)
from lib.scoring.sklearn import SklearnBackend
from lib.store.compatibility import check_library
from lib.store.version import SPARK_ARTEFACT

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

try:
    import pyspark as _pyspark  # noqa: F401 - only whether it is there; starts no JVM
except ImportError:
    SPARK_AVAILABLE = False
else:
    SPARK_AVAILABLE = True

logger = logging.getLogger(__name__)


class SparkBackend(ModelBackend):
    """Scores with a saved ``PipelineModel``.

    When PySpark is missing, the path does not exist, the session cannot start or the model does
    not load, it falls back to scikit-learn and logs a warning that says which. A stored version
    whose files are not those that were saved is refused instead: its other artefact is not to be
    trusted either.

    Attributes:
        fallback_path: of a joblib file or a version; None for no fallback.
        fallback_preprocessor_path: goes with it.
        spark_session: to load and score in; else the active one, else a new one.
        fallback_backend: the loaded fallback while it is in use, else None.
        using_fallback: whether it scores.
    """

    backend_type = "spark"

    def __init__(
        self,
        model_path: ModelPath,
        fallback_path: ModelPath | None = None,
        spark_session: SparkSession | None = None,
        *,
        fallback_preprocessor_path: ModelPath | None = None,
    ) -> None:
        super().__init__(model_path)
        self.fallback_path = fallback_path
        self.fallback_preprocessor_path = fallback_preprocessor_path
        self.spark_session = spark_session
        self.fallback_backend: SklearnBackend | None = None
        self.using_fallback = False

    @property
    def model(self) -> Any:
        """The PipelineModel, or the fallback's model while that scores."""
        return self.fallback_backend.model if self.fallback_backend else self._model

    @model.setter
    def model(self, model: Any) -> None:
        self._leave_fallback()
        self._adopt(model, version=None, label="" if model is None else type(model).__name__)

    @property
    def scored_by(self) -> str:
        """See :attr:`ModelBackend.scored_by`; names the fallback while that scores."""
        return self.fallback_backend.scored_by if self.fallback_backend else super().scored_by

    @property
    def is_native(self) -> bool:
        """See :attr:`ModelBackend.is_native`; the fallback does not."""
        return not self.using_fallback

    def load(self) -> None:
        """Load the PipelineModel, or the fallback.

        Raises:
            ValueError: the model cannot be used and there is no fallback; says the cause.
            ModelCorruptError: a stored version is not as it was saved.
            FileNotFoundError: the fallback does not exist.
            ModelError: the fallback cannot be used.
        """
        self._leave_fallback()
        try:
            self._load_spark_model()
        except _NotUsableError as cause:
            if self.fallback_path is None:
                raise ModelUnavailableError(
                    f"Spark model {self.model_path}: {cause}; no fallback path specified"
                ) from cause
            logger.warning(
                "Spark model not used, falling back to sklearn: cause=%s model=%s fallback=%s",
                *(cause, self.model_path, self.fallback_path),
            )
            self._load_fallback(self.fallback_path)

    def _load_spark_model(self) -> None:
        if not is_spark_available():
            raise _NotUsableError("PySpark is missing")
        location, artefact = _find(self.model_path)
        try:
            session = self._provide_session()
        except ImportError as error:
            raise _NotUsableError(f"PySpark is missing: {_first_line(error)}") from error
        except Exception as error:
            raise _NotUsableError(f"the session cannot start: {_first_line(error)}") from error
        try:
            from lib.scoring import pipeline_model

            model = pipeline_model.load_pipeline_model(location, session)
        except Exception as error:
            raise _NotUsableError(f"the model does not load: {_first_line(error)}") from error
        self._adopt(model, version=artefact.version, label=artefact.label)

    def _load_fallback(self, path: ModelPath) -> None:
        fallback = SklearnBackend(path, self.fallback_preprocessor_path)
        fallback.load()
        self._adopt(None, version=fallback.version, label="")
        self.fallback_backend, self.using_fallback = fallback, True

    def _leave_fallback(self) -> None:
        self.fallback_backend, self.using_fallback = None, False

    def _provide_session(self) -> SparkSession:
        from pyspark.sql import SparkSession

        session = self.spark_session or SparkSession.getActiveSession()
        if session is None:
            session = SparkSession.builder.appName("inference-backend").getOrCreate()
        return session

    def describe(self) -> dict[str, Any]:
        """See :meth:`ModelBackend.describe`."""
        path = self.fallback_path
        return {
            "backend_type": self.backend_type,
            "model_path": str(self.model_path),
            "model_type": self.model_type,
            "using_fallback": self.using_fallback,
            "fallback_path": None if path is None else str(path),
            "spark_available": is_spark_available(),
        }

    def _score(self, features: pd.DataFrame) -> Probabilities:
        if self.fallback_backend is not None:
            return self.fallback_backend._score(features)
        from lib.scoring import pipeline_model

        frame = pipeline_model.build_frame(features, self._provide_session())
        scored = self.with_probability(frame)
        rows = scored.select(PROBABILITY_COLUMN).collect()
        return np.array([np.nan if value is None else value for (value,) in rows], dtype=np.float64)

    def with_probability(self, frame: DataFrame) -> DataFrame:
        """See :meth:`ModelBackend.with_probability`; here it stays in the JVM.

        The columns that the model adds on its way are dropped. A row on which a stage raises ends
        the job: Spark has no way to catch it, so rows have to be checked before.
        """
        self._require_model()
        if self.fallback_backend is not None:
            return self.fallback_backend.with_probability(frame)
        from lib.scoring import pipeline_model

        refuse_probability_column(frame)
        return pipeline_model.append_probability(frame, self.model, self.scored_by)


class _NotUsableError(Exception):
    """Why the Spark model cannot be used, as one phrase."""


def is_spark_available() -> bool:
    """The flag as ``lib.inference_backend`` shows it: False there makes every model fall back."""
    from lib import inference_backend  # here, for the face imports this module

    return inference_backend.SPARK_AVAILABLE


def _find(model_path: ModelPath) -> tuple[str, Artefact]:
    """Where Spark reads the PipelineModel, and what it is; a version is verified."""
    text = os.fspath(model_path)
    if "://" in text:  # on a remote file system: Spark finds out whether it is there
        return text, Artefact(Path(text), None)
    try:
        artefact = find_artefact(model_path, SPARK_ARTEFACT)
    except ModelNotFoundError as error:
        raise _NotUsableError(f"the path does not exist: {error.message}") from error
    if not artefact.path.exists():
        raise _NotUsableError(f"the path does not exist: {artefact.path}")
    if artefact.version is not None:
        artefact.version.verify()
        try:
            check_library(artefact.version.metadata, "pyspark")
        except ModelMismatchError as error:
            raise _NotUsableError(f"the model does not load: {error.message}") from error
    # With a scheme: Spark's default file system may be another one.
    return artefact.path.resolve().as_uri(), artefact


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
