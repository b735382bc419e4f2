"""What the backends share that scikit-learn can stand in for: spark, sql and onnx."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from lib.errors import ModelNotFoundError
from lib.score.artefact import Artefact, find_artefact
from lib.score.backends.sklearn.backend import SklearnBackend
from lib.score.base import (
    ModelBackend,
    ModelPath,
    ModelUnavailableError,
    Probabilities,
    refuse_probability_column,
)

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

    from lib.record.contract import Contract
    from lib.stream.one_pass import BatchScorer

logger = logging.getLogger(__name__)


class NotUsableError(Exception):
    """Why a model cannot be used although nothing is wrong with its store, as one phrase."""


class FallbackBackend(ModelBackend):
    """Scores with a model of its own kind, or with scikit-learn where that cannot be used.

    It falls back when a library is missing, the path does not exist or the model does not load, and
    logs a warning that says which. A stored version whose files are not those that were saved is
    refused instead: its other artefact is not to be trusted either.

    Attributes:
        fallback_path: of a joblib file or a version; None for no fallback.
        fallback_preprocessor_path: goes with it.
        fallback_backend: the loaded fallback while it is in use, else None.
    """

    #: Of the model, for messages.
    kind: ClassVar[str]

    def __init__(
        self,
        model_path: ModelPath,
        fallback_path: ModelPath | None = None,
        *,
        fallback_preprocessor_path: ModelPath | None = None,
        contract: Contract | None = None,
    ) -> None:
        super().__init__(model_path, contract)
        self.fallback_path = fallback_path
        self.fallback_preprocessor_path = fallback_preprocessor_path
        self.fallback_backend: SklearnBackend | None = None
        self._is_told_to_fall_back = False

    @property
    def using_fallback(self) -> bool:
        """Whether the fallback scores.

        Setting it to True by hand makes the backend score the model that it has, or that is set
        next, as a scikit-learn one; to False, as one of its own kind.
        """
        return self.fallback_backend is not None

    @using_fallback.setter
    def using_fallback(self, value: bool) -> None:
        model, self._is_told_to_fall_back = self.model, value
        if value != self.using_fallback:
            self._use(model)

    @property
    def model(self) -> Any:
        """The model, or the fallback's while that scores."""
        return self.fallback_backend.model if self.fallback_backend else self._model

    @model.setter
    def model(self, model: Any) -> None:
        self._use(model)

    def _use(self, model: Any) -> None:
        """Score with a model that was set by hand."""
        self._leave_fallback()
        if self._is_told_to_fall_back:
            path = self.fallback_path or self.model_path
            fallback = SklearnBackend(path, contract=self.contract)
            fallback.model = model
            self.fallback_backend = fallback
            model = None
        self._adopt(model, version=None, label="" if model is None else type(model).__name__)

    @property
    def scored_by(self) -> str:
        """See :attr:`ModelBackend.scored_by`; names the fallback while that scores."""
        return self.fallback_backend.scored_by if self.fallback_backend else super().scored_by

    def load(self) -> Any:
        """Load the model, or the fallback, and return what was loaded.

        Raises:
            ValueError: the model cannot be used and there is no fallback; says the cause.
            ModelCorruptError: a stored version is not as it was saved.
            FileNotFoundError: the fallback does not exist.
            ModelError: the fallback cannot be used.
        """
        self._leave_fallback()
        self._is_told_to_fall_back = False
        try:
            self._load_own()
        except NotUsableError as cause:
            if self.fallback_path is None:
                raise ModelUnavailableError(
                    f"{self.kind} model {self.model_path}: {cause}; no fallback path specified"
                ) from cause
            logger.warning(
                "%s model not used, falling back to sklearn: cause=%s model=%s fallback=%s",
                *(self.kind, cause, self.model_path, self.fallback_path),
            )
            self._load_fallback(self.fallback_path)
        return self.model

    @abstractmethod
    def _load_own(self) -> None:
        """Load and adopt the model.

        Raises:
            NotUsableError: scikit-learn has to stand in.
            ModelCorruptError: a stored version is not as it was saved.
        """

    @abstractmethod
    def _score_own(self, features: pd.DataFrame) -> Probabilities:
        """As :meth:`ModelBackend._score`, with the loaded model."""

    @abstractmethod
    def _append_own(self, frame: DataFrame) -> DataFrame:
        """As :meth:`ModelBackend.with_probability`, with the loaded model."""

    def describe(self) -> dict[str, Any]:
        """See :meth:`ModelBackend.describe`."""
        path = self.fallback_path
        return {
            "backend_type": self.backend_type,
            "model_path": str(self.model_path),
            "model_type": self.model_type,
            "using_fallback": self.using_fallback,
            "fallback_path": None if path is None else str(path),
        }

    def _score(self, features: pd.DataFrame) -> Probabilities:
        if self.fallback_backend is not None:
            return self.fallback_backend._score(features)
        return self._score_own(features)

    def with_probability(self, frame: DataFrame) -> DataFrame:
        """See :meth:`ModelBackend.with_probability`."""
        self._require_model()
        if self.fallback_backend is not None:
            return self.fallback_backend.with_probability(frame)
        refuse_probability_column(frame)
        return self._append_own(frame)

    def _find_file(self, artefact: str) -> Artefact:
        """The model's file, whose name in a version is ``artefact``.

        Raises:
            NotUsableError: there is none.
        """
        try:
            found = find_artefact(self.model_path, artefact)
        except ModelNotFoundError as error:
            raise NotUsableError(f"the path does not exist: {error.message}") from error
        if not found.path.is_file():
            raise NotUsableError(f"the path does not exist: {found.path}")
        return found

    def list_columns(self) -> list[str] | None:
        """See :meth:`ModelBackend.list_columns`."""
        if self.fallback_backend is not None:
            return self.fallback_backend.list_columns()
        self._require_model()
        return self._list_own_columns()

    def _list_own_columns(self) -> list[str] | None:
        return None

    def build_batch_scorer(self, session: SparkSession) -> BatchScorer | None:
        """See :meth:`ModelBackend.build_batch_scorer`."""
        if self.fallback_backend is not None:
            return self.fallback_backend.build_batch_scorer(session)
        self._require_model()
        return self._build_own_batch_scorer(session)

    def _build_own_batch_scorer(self, session: SparkSession) -> BatchScorer | None:
        return None

    def _load_fallback(self, path: ModelPath) -> None:
        fallback = SklearnBackend(path, self.fallback_preprocessor_path, contract=self.contract)
        fallback.load()
        self.contract = fallback.contract
        self._adopt(None, version=fallback.version, label="")
        self.fallback_backend = fallback

    def _leave_fallback(self) -> None:
        self.fallback_backend = None
