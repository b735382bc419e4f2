"""The base of backends whose models Spark's JVM evaluates. It imports without PySpark."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from lib.errors import name_error
from lib.score.base import ModelBackend, ModelPath, refuse_probability_column
from lib.score.fallback import NotUsableError
from lib.score.registry import BackendOptions
from lib.score.scorer import PROBABILITY_COLUMN, ModelScorer, Probabilities

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lib.record.contract import Contract

try:
    import pyspark as _pyspark  # noqa: F401 - tells whether it is there; starts no JVM
except ImportError:
    SPARK_AVAILABLE = False
else:
    SPARK_AVAILABLE = True


class JvmBackend(ModelBackend):
    """A backend whose models Spark's JVM evaluates, also for ``predict``.

    A subclass defines :meth:`open_model` and :meth:`append_probability`.

    Attributes:
        spark_session: the session to load and score in; None for the active one or a new one.
    """

    def __init__(
        self,
        model_path: ModelPath,
        fallback_path: ModelPath | None = None,
        spark_session: SparkSession | None = None,
        *,
        fallback_preprocessor_path: ModelPath | None = None,
        contract: Contract | None = None,
    ) -> None:
        super().__init__(
            model_path,
            fallback_path,
            fallback_preprocessor_path=fallback_preprocessor_path,
            contract=contract,
        )
        self.spark_session = spark_session

    @classmethod
    def build(cls, model_path: ModelPath, options: BackendOptions) -> Self:
        """See :meth:`ModelBackend.build`."""
        backend = super().build(model_path, options)
        backend.spark_session = options.spark_session
        return backend

    @abstractmethod
    def append_probability(self, frame: DataFrame, model: Any, name: str) -> DataFrame:
        """Append ``probability`` to the frame, lazily: double in [0, 1] or null.

        Args:
            frame: a frame without a column ``probability``.
            model: the model of :meth:`open_model`, or one that was set.
            name: the name of model and backend, for messages.

        Raises:
            ModelMismatchError: the model does not take the frame.
        """

    def wrap_model(self, model: Any, name: str) -> ModelScorer:
        """See :meth:`ModelBackend.wrap_model`."""
        return _JvmScorer(model, name, self.append_probability, self.provide_session)

    def describe(self) -> dict[str, Any]:
        """See :meth:`ModelBackend.describe`."""
        return {**super().describe(), "spark_available": is_spark_available()}

    def provide_session(self) -> SparkSession:
        """Return the session that was given, else the active one, else a new one."""
        from pyspark.sql import SparkSession

        session = self.spark_session or SparkSession.getActiveSession()
        if session is None:
            session = SparkSession.builder.appName("inference-backend").getOrCreate()
        return session

    def open_session(self) -> SparkSession:
        """Open the session to load a model in; see :meth:`provide_session`.

        Raises:
            NotUsableError: there is no session, and none can be started.
        """
        try:
            return self.provide_session()
        except ImportError as error:
            raise NotUsableError(f"PySpark is missing: {name_error(error)}") from error
        except Exception as error:
            raise NotUsableError(f"the session cannot start: {name_error(error)}") from error


class _JvmScorer(ModelScorer):
    """Scores in a job of Spark."""

    is_native = True

    def __init__(
        self,
        model: Any,
        name: str,
        append: Callable[[DataFrame, Any, str], DataFrame],
        provide_session: Callable[[], SparkSession],
    ) -> None:
        super().__init__(model, name)
        self._append, self._provide_session = append, provide_session

    def score(self, features: pd.DataFrame) -> Probabilities:
        """See :meth:`ModelScorer.score`."""
        from lib.score.frames import build_frame

        frame = build_frame(features, self._provide_session())
        refuse_probability_column(frame)
        rows = self.append_probability(frame, ()).select(PROBABILITY_COLUMN).collect()
        return np.array([np.nan if value is None else value for (value,) in rows], dtype=np.float64)

    def append_probability(self, frame: DataFrame, columns: Sequence[str]) -> DataFrame:
        """See :meth:`ModelScorer.append_probability`."""
        return self._append(frame, self.model, self.name)


def is_spark_available() -> bool:
    """Tell whether PySpark can be used, as the face says with ``SPARK_AVAILABLE``."""
    face = sys.modules.get("lib.inference_backend")
    return bool(getattr(face, "SPARK_AVAILABLE", SPARK_AVAILABLE))


def require_pyspark() -> None:
    """Raise NotUsableError if PySpark cannot be used."""
    if not is_spark_available():
        raise NotUsableError("PySpark is missing")
