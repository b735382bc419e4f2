"""What all backends have in common: the model, its threshold, and the way from features to labels.

A backend takes any model and any columns that the model takes. Of the model's contract it uses the
labels, the rules for numbers (see :mod:`lib.score.features`), and the features' names for models
that do not know theirs. Checking whole records is the stream's business.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from lib.errors import ModelError, ModelMismatchError, ModelNotFoundError
from lib.score.features import Record, read_numeric_text
from lib.store import ModelVersion, read_version_contract

if TYPE_CHECKING:  # backends work without PySpark
    from pyspark.sql import DataFrame, SparkSession

    from lib.record.contract import Contract
    from lib.stream.one_pass import BatchScorer

ModelPath = str | os.PathLike[str]
Probabilities = npt.NDArray[np.float64]
Predictions = npt.NDArray[np.str_]

DEFAULT_THRESHOLD = 0.5
# Of a model whose contract is not known: class 0 and class 1.
DEFAULT_LABELS = ("No", "Yes")
PROBABILITY_COLUMN = "probability"


class ModelFileNotFoundError(ModelNotFoundError, FileNotFoundError):
    """A model path or reference leads to no file."""

    remedy = "check the path, or train a version with jobs/train.py"


class ModelUnavailableError(ModelError, ValueError):
    """A model that is no scikit-learn one cannot be used, and there is no fallback."""

    remedy = "see the cause, or give a fallback_path"


class ModelBackend(ABC):
    """A model behind one interface. Constructing it does no I/O; :meth:`load` does.

    Attributes:
        backend_type: "sklearn", "spark", "onnx" or "sql".
        model_path: as given: a path, or a reference into the store ``models``.
        threshold: probability in [0, 1] from which the prediction is the positive label: the
            store's, else 0.5.
        version: the stored version that is loaded; None for a model outside a store.
        contract: what the model's records look like: the version's; for a model outside a store the
            one that was given, else None.
    """

    backend_type: ClassVar[str]

    def __init__(self, model_path: ModelPath, contract: Contract | None = None) -> None:
        self.model_path = model_path
        self.contract = contract
        self.threshold = DEFAULT_THRESHOLD
        self.version: ModelVersion | None = None
        self._label = ""
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The loaded model, or None. Setting it by hand makes the backend use that, as it is.

        A model set by hand states no threshold and belongs to no version, whatever was loaded.
        """
        return self._model

    @model.setter
    def model(self, model: Any) -> None:
        self._adopt(model, version=None, label="" if model is None else type(model).__name__)

    def _adopt(self, model: Any, *, version: ModelVersion | None, label: str) -> None:
        """Use this model from now on."""
        self._model = model
        self.version = version
        if version is not None:
            self.contract = read_version_contract(version)
        self.threshold = version.metadata.threshold if version else DEFAULT_THRESHOLD
        self._label = version.reference if version else label

    @property
    def model_type(self) -> str | None:
        """Name of the model's class; None before loading."""
        return None if self.model is None else type(self.model).__name__

    @property
    def scored_by(self) -> str:
        """Model and backend that really score, as in ``model@3/sklearn``; for the output.

        A model outside a store goes by its file's stem, one that was set by hand by its class.

        Raises:
            ValueError: no model is loaded.
        """
        self._require_model()
        return f"{self._label}/{self.backend_type}"

    @property
    def is_native(self) -> bool:
        """Whether it scores inside Spark's JVM, without Python workers."""
        return False

    @abstractmethod
    def load(self) -> Any:
        """Load the model and return it. Errors are the subclass's."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Facts about the backend, for people and logs; see ``get_backend_info``."""

    @abstractmethod
    def with_probability(self, frame: DataFrame) -> DataFrame:
        """Append the column ``probability``: double in [0, 1], null where the model gave none.

        Lazy: starts no job. All columns of ``frame`` are kept, unchanged and in order. Runs in the
        executors.

        Args:
            frame: has the columns that the model needs, in any order, and any others.

        Raises:
            ValueError: no model is loaded, or ``frame`` has a column ``probability`` already.
            ModelMismatchError: ``frame`` lacks a column that the model needs.
        """

    def list_columns(self) -> list[str] | None:
        """The columns that the model needs; None where only Spark can tell, in the JVM."""
        return None

    def build_batch_scorer(self, session: SparkSession) -> BatchScorer | None:
        """The model as Python workers run it on whole batches; None where it runs in the JVM.

        Args:
            session: whose executors get the model.

        Raises:
            ValueError: no model is loaded.
        """
        self._require_model()
        return None

    @abstractmethod
    def _score(self, features: pd.DataFrame) -> Probabilities:
        """Probability of class 1: float64 [n_rows], NaN where the model gave none."""

    def predict(self, features: pd.DataFrame) -> tuple[Predictions, Probabilities]:
        """Score rows in this process.

        Numbers that come as text are read by the contract's rules, as the stream does: where the
        contract takes numeric text, it is a number, and a blank is what the contract says.

        Args:
            features: at least one row, with the columns that the model takes.

        Returns:
            predictions: str [n_rows], the positive label where the probability reaches the
            threshold, else the negative one;
            probabilities: float64 [n_rows] in [0, 1], of class 1.

        Raises:
            ValueError: no model is loaded, or there are no rows.
            ModelError: the model gave no probability for some row.
            FeaturesValueError: text where the contract wants a number.
        """
        self._require_model()
        if features.empty:
            raise ValueError("Features DataFrame is empty")
        if self.contract is not None:
            features = read_numeric_text(features, self.contract)
        probabilities = self._score_all(features)
        return self._label_all(probabilities), probabilities

    def predict_records(self, records: Sequence[Record]) -> tuple[Predictions, Probabilities]:
        """The same of records: field → value each."""
        return self.predict(pd.DataFrame(records))

    def _score_all(self, features: pd.DataFrame) -> Probabilities:
        """Score rows, none of which may go without a probability."""
        probabilities = self._score(features)
        valid = (probabilities >= 0) & (probabilities <= 1)
        if not valid.all():
            raise ModelError(
                f"{self.scored_by}: found no probability in [0, 1] for {int((~valid).sum())} of "
                f"{len(features)} rows, the first at position {int(np.argmin(valid))}",
                hint="check the values of that row",
            )
        return probabilities

    def _label_all(self, probabilities: Probabilities) -> Predictions:
        negative, positive = DEFAULT_LABELS
        if self.contract is not None:
            negative, positive = self.contract.negative_label, self.contract.positive_label
        return np.where(probabilities >= self.threshold, positive, negative)

    def _require_model(self) -> None:
        if self.model is None:
            raise ValueError("Model not loaded. Call load() first.")


def refuse_missing_columns(found: Collection[str], needed: Sequence[str], name: str) -> None:
    """Raise ModelMismatchError where columns that the model needs are not among those found."""
    missing = [column for column in needed if column not in found]
    if missing:
        raise ModelMismatchError(
            f"{name}: found records without the columns {missing}, expected {list(needed)}",
            hint="add the columns, or name a model that was trained without them",
        )


def refuse_probability_column(frame: DataFrame) -> None:
    """Raise ValueError where appending would give the frame a second column ``probability``."""
    # Spark resolves names without regard to case.
    if PROBABILITY_COLUMN in (name.lower() for name in frame.columns):
        raise ValueError(f"the frame has a column {PROBABILITY_COLUMN!r} already; rename it first")
