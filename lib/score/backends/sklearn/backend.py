"""The scikit-learn backend: a pipeline in this process, or in Spark's Python workers."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd

from lib.errors import ModelError, ModelMismatchError, ModelNotFoundError
from lib.score.artefact import Artefact, find_artefact
from lib.score.backends.sklearn.worker import compute_probability
from lib.score.base import (
    ModelBackend,
    ModelFileNotFoundError,
    ModelPath,
    Probabilities,
    refuse_missing_columns,
    refuse_probability_column,
)
from lib.store.compatibility import check_library
from lib.store.version import SKLEARN_ARTEFACT

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lib.record.contract import Contract
    from lib.score.backends.sklearn.udf import SharedModel, SklearnScorer
    from lib.stream.one_pass import BatchScorer


class SklearnBackend(ModelBackend):
    """Scores with any object that has ``predict_proba``, read from a joblib file.

    A file of a stored version is checked against its checksum, and the version's scikit-learn
    against the installed one, before anything is unpickled. A joblib file can run any code when it
    is opened: load only files that you trust.

    Attributes:
        preprocessor_path: of a fitted transformer that is applied first; None for none.
        preprocessor: that transformer, once loaded.
    """

    backend_type = "sklearn"

    def __init__(
        self,
        model_path: ModelPath,
        preprocessor_path: ModelPath | None = None,
        *,
        contract: Contract | None = None,
    ) -> None:
        super().__init__(model_path, contract)
        self.preprocessor_path = preprocessor_path
        self.preprocessor: Any = None
        self._shared: SharedModel | None = None

    def load(self) -> Any:
        """Read the model and, where there is one, the preprocessor; return the model.

        Raises:
            FileNotFoundError: there is no such file or version.
            ModelCorruptError: a file of a stored version is not as it was saved.
            ModelMismatchError: the version was saved by another scikit-learn.
            ModelError: a file holds something that cannot score, or cannot be unpickled.
        """
        artefact = _find(self.model_path, "Model")
        model = _unpickle(artefact, needs="predict_proba")
        preprocessor = None
        if self.preprocessor_path is not None:
            preprocessor = _unpickle(
                _find(self.preprocessor_path, "Preprocessor"), needs="transform"
            )
        self.preprocessor = preprocessor
        self._adopt(model, version=artefact.version, label=artefact.label)
        return model

    def describe(self) -> dict[str, Any]:
        """See :meth:`ModelBackend.describe`."""
        configured = self.preprocessor is not None or self.preprocessor_path is not None
        path = self.preprocessor_path
        return {
            "backend_type": self.backend_type,
            "model_path": str(self.model_path),
            "model_type": self.model_type,
            "has_preprocessor": configured,
            "preprocessor_path": None if path is None else str(path),
        }

    def _score(self, features: pd.DataFrame) -> Probabilities:
        names = self._feature_names()
        if names is not None and not np.array_equal(features.columns.values, names):
            features = _select(features, names)
        return compute_probability(self.model, self.preprocessor, features)

    def with_probability(self, frame: DataFrame) -> DataFrame:
        """See :meth:`ModelBackend.with_probability`; here it is a pandas UDF.

        The model goes to the workers once, as a broadcast that lives as long as this backend, and
        is unpickled once in each worker process. Where it raises on a batch, the batch is halved
        until the failing rows stand alone. These get null, and the worker's log a warning without
        contents.

        A model that does not list its columns (``feature_names_in_``) gets the contract's features.
        """
        from lib.score.backends.sklearn.udf import append_probability

        self._require_model()
        refuse_probability_column(frame)
        refuse_missing_columns(frame.columns, self.list_columns(), self.scored_by)
        return append_probability(frame, self._build_scorer(frame.sparkSession))

    def build_batch_scorer(self, session: SparkSession) -> BatchScorer | None:
        """See :meth:`ModelBackend.build_batch_scorer`."""
        self._require_model()
        return self._build_scorer(session)

    def _build_scorer(self, session: SparkSession) -> SklearnScorer:
        from lib.score.backends.sklearn.udf import SharedModel, SklearnScorer

        if self._shared is None or not self._shared.holds(self.model, self.preprocessor):
            self._shared = SharedModel(self.model, self.preprocessor)
        content = self._shared.broadcast(session.sparkContext)
        return SklearnScorer(content, self._shared.sha256, tuple(self.list_columns()))

    def list_columns(self) -> list[str]:
        """See :meth:`ModelBackend.list_columns`."""
        self._require_model()
        names = self._feature_names()
        if names is not None:
            return list(names)
        if self.contract is None:
            raise ModelMismatchError(
                f"{self.scored_by}: found a model that does not list its columns, and no contract",
                hint="name the model's contract, with --contract or load_model(contract=…)",
            )
        return list(self.contract.feature_names)

    def _feature_names(self) -> Any:
        """The columns that the model was fitted on: object [n_features]; None if it lists none."""
        first = self.model if self.preprocessor is None else self.preprocessor
        names = getattr(first, "feature_names_in_", None)
        # Only scikit-learn's own: an object that answers to any attribute lists nothing.
        return names if isinstance(names, np.ndarray) else None


def _select(features: pd.DataFrame, names: npt.NDArray[np.object_]) -> pd.DataFrame:
    """The columns a model lists, in its order. Where some are missing, the model says so itself."""
    return features[list(names)] if set(names) <= set(features.columns) else features


def _find(path: ModelPath, what: str) -> Artefact:
    try:
        artefact = find_artefact(path, SKLEARN_ARTEFACT)
    except ModelNotFoundError as error:
        raise ModelFileNotFoundError(f"{what} file not found: {error.message}") from error
    if not artefact.path.is_file():
        raise ModelFileNotFoundError(f"{what} file not found: {artefact.path}")
    return artefact


def _unpickle(artefact: Artefact, *, needs: str) -> Any:
    """Verify, then open. What is unpickled are the very bytes that were hashed."""
    path, content = artefact.path, artefact.read()
    if artefact.version is not None:
        check_library(artefact.version.metadata, "scikit-learn")
    try:
        model = joblib.load(io.BytesIO(content))
    except Exception as error:  # unpickling runs code of any library
        raise ModelError(
            f"{path}: cannot be unpickled: {type(error).__name__}: {error}",
            hint="install the libraries that it was saved with, or save it again",
        ) from error
    if not hasattr(model, needs):
        raise ModelError(f"{path}: found a {type(model).__name__}, expected an object with {needs}")
    return model
