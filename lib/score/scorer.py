"""What a backend makes of a model that it has loaded: something that gives probabilities.

Needs no library of any backend: each Python worker imports this for itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

    from lib.decode.engines.arrow import Column
    from lib.score.features import Record

Probabilities = npt.NDArray[np.float64]
PROBABILITY_COLUMN = "probability"


class BatchScorer(Protocol):
    """A model in a worker. Goes there as a pickle; opens its model on the first call."""

    def __call__(self, features: Mapping[str, Column]) -> Probabilities:
        """Probability of each row in [0, 1]: float64 [n_rows]; anything else where it has none."""


class ModelScorer(ABC):
    """A model that is ready to score.

    Attributes:
        model: as its library has loaded it, or as a caller has set it.
        name: of model and backend, as in ``model@3/sklearn``; for messages and predictions.
    """

    #: Whether Spark's JVM evaluates the model, without Python workers.
    is_native: ClassVar[bool] = False
    #: Whether :meth:`score_records` is faster than a frame of the same records.
    takes_records: ClassVar[bool] = False

    def __init__(self, model: Any, name: str) -> None:
        self.model = model
        self.name = name

    @property
    def columns(self) -> Sequence[str] | None:
        """The columns that the model takes; None where it does not say."""
        return None

    @abstractmethod
    def score(self, features: pd.DataFrame) -> Probabilities:
        """Probability of class 1: float64 [n_rows], NaN where the model gave none.

        Runs in this process, or in a job that it waits for.
        """

    def score_records(self, records: Sequence[Record]) -> Probabilities:
        """The same of records, where :attr:`takes_records`.

        Raises:
            KeyError, TypeError, ValueError: it does not take them as they are.
        """
        raise NotImplementedError

    @abstractmethod
    def append_probability(self, frame: DataFrame, columns: Sequence[str]) -> DataFrame:
        """Append ``probability``: double in [0, 1], null where the model gave none. Lazy.

        Args:
            frame: has the columns, and any others but ``probability``.
            columns: that the model takes; none of a native model, which reads what it needs.

        Raises:
            ModelMismatchError: the model does not take the frame.
        """

    def build_batch_scorer(self, session: SparkSession, columns: Sequence[str]) -> BatchScorer:
        """The model as Python workers run it on whole batches, where it is not native.

        Args:
            session: whose executors get the model.
            columns: that the model takes.
        """
        raise NotImplementedError
