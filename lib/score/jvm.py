"""What the backends share whose model Spark's JVM evaluates: spark and sql.

Imports without PySpark.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lib.errors import name_error
from lib.score.base import PROBABILITY_COLUMN, ModelPath, Probabilities
from lib.score.fallback import FallbackBackend, NotUsableError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lib.record.contract import Contract

try:
    import pyspark as _pyspark  # noqa: F401 - only whether it is there; starts no JVM
except ImportError:
    SPARK_AVAILABLE = False
else:
    SPARK_AVAILABLE = True


class JvmBackend(FallbackBackend):
    """A backend whose model is evaluated by Spark's JVM, also for ``predict``.

    Attributes:
        spark_session: to load and score in; else the active one, else a new one.
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

    @property
    def is_native(self) -> bool:
        """See :attr:`ModelBackend.is_native`; the fallback does not."""
        return not self.using_fallback

    def describe(self) -> dict[str, Any]:
        """See :meth:`ModelBackend.describe`."""
        return {**super().describe(), "spark_available": is_spark_available()}

    def _load_own(self) -> None:
        if not is_spark_available():
            raise NotUsableError("PySpark is missing")
        self._load_in_spark()

    @abstractmethod
    def _load_in_spark(self) -> None:
        """As :meth:`FallbackBackend._load_own`, where there is PySpark."""

    def _open_session(self) -> SparkSession:
        """The session.

        Raises:
            NotUsableError: there is none, and none can be started.
        """
        try:
            return self._provide_session()
        except ImportError as error:
            raise NotUsableError(f"PySpark is missing: {name_error(error)}") from error
        except Exception as error:
            raise NotUsableError(f"the session cannot start: {name_error(error)}") from error

    def _provide_session(self) -> SparkSession:
        from pyspark.sql import SparkSession

        session = self.spark_session or SparkSession.getActiveSession()
        if session is None:
            session = SparkSession.builder.appName("inference-backend").getOrCreate()
        return session

    def _score_own(self, features: pd.DataFrame) -> Probabilities:
        from lib.score.frames import build_frame

        frame = build_frame(features, self._provide_session())
        rows = self.with_probability(frame).select(PROBABILITY_COLUMN).collect()
        return np.array([np.nan if value is None else value for (value,) in rows], dtype=np.float64)


def is_spark_available() -> bool:
    """Whether PySpark can be used: False in the face's ``SPARK_AVAILABLE`` says that it cannot."""
    face = sys.modules.get("lib.inference_backend")
    return bool(getattr(face, "SPARK_AVAILABLE", SPARK_AVAILABLE))
