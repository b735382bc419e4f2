"""The interfaces of a loaded model that gives probabilities, and of its form in workers.

The module needs no library of any backend, because each Python worker imports it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

    from lib.decode.engines.arrow import Column
    from lib.score.features import Record

Probabilities = npt.NDArray[np.float64]
#: A function: name → column → the probability of each row, float64 [n_rows], outside of [0, 1] for
#: none.
ScoreColumns = Callable[[Mapping[str, "Column"]], Probabilities]
PROBABILITY_COLUMN = "probability"
DEFAULT_THRESHOLD = 0.5


class BatchScorer(Protocol):
    """A model on its way to a worker, where it gets as a pickle."""

    def open(self) -> ScoreColumns:
        """Open the model, once a process, and return the function that scores with it.

        An error here ends the task. The function may raise on rows, and
        :func:`lib.score.workers.halves.score_batch` finds them.
        """


class ModelScorer(ABC):
    """A model that is ready to score.

    Attributes:
        model: the object that its library has loaded, or that a caller has set.
        name: the name of model and backend, such as ``model@3/sklearn``.
        threshold: the probability in [0, 1] from which the model itself predicts the positive
            class.
    """

    #: Whether Spark's JVM evaluates the model, without Python workers.
    is_native: ClassVar[bool] = False
    #: Whether :meth:`score_records` is faster than a frame of the same records.
    takes_records: ClassVar[bool] = False

    def __init__(self, model: Any, name: str, threshold: float = DEFAULT_THRESHOLD) -> None:
        self.model = model
        self.name = name
        self.threshold = threshold

    @property
    def columns(self) -> Sequence[str] | None:
        """The columns that the model takes; None if it does not tell."""
        return None

    @abstractmethod
    def score(self, features: pd.DataFrame) -> Probabilities:
        """Compute the positive class's probability: float64 [n_rows], NaN if there is none.

        It is computed in this process, or in a job of Spark that is waited for.
        """

    def score_records(self, records: Sequence[Record]) -> Probabilities:
        """Score records, if :attr:`takes_records`; see :meth:`score`.

        Raises:
            KeyError, TypeError, ValueError: the model does not take these records.
        """
        raise NotImplementedError

    @abstractmethod
    def append_probability(self, frame: DataFrame, columns: Sequence[str]) -> DataFrame:
        """Append ``probability``, lazily: double in [0, 1], null if the model gave none.

        Args:
            frame: a frame with the columns, and any others but ``probability``.
            columns: the columns that the model takes; empty for a native model.

        Raises:
            ModelMismatchError: the model does not take the frame.
        """

    def build_batch_scorer(self, session: SparkSession, columns: Sequence[str]) -> BatchScorer:
        """Build the scorer for batches in Python workers, if the model is not native.

        Args:
            session: the session whose executors get the model.
            columns: the columns that the model takes.
        """
        raise NotImplementedError
