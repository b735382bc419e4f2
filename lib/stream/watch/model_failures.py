"""Tells the operator on which rows the model fails, although workers score them elsewhere."""

from __future__ import annotations

import pickle
import uuid
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pyspark import AccumulatorParam
from pyspark.sql import SparkSession

from lib.encode.observation import FAILED, PREDICTIONS
from lib.errors import ModelFailingError
from lib.score.workers.failures import FailureLog, FailurePolicy, Failures, merge_failures


class ModelFailures:
    """Collects the failures of models from all workers, and logs them on the driver.

    Workers report by an accumulator of Spark, which they open when a row fails: batches without
    failures cost nothing. A task that Spark repeats counts twice.

    Args:
        spark: the session.
        model: the name of model and backend; :meth:`watch` adds others.
        limit: the share of failing rows at which workers stop; see ``FailureTally``.
    """

    def __init__(self, spark: SparkSession, model: str, limit: float) -> None:
        self._spark = spark
        self._limit = limit
        self._model = model
        self._counted: list[_Counted] = []
        # The error of a model that fails on nearly all records, although no worker says so.
        self.failure: ModelFailingError | None = None
        self.policy = self.watch(model)

    def watch(self, model: str) -> FailurePolicy:
        """Collect the failures of one more model, by the policy that is returned."""
        counted = _Counted(self._spark, model)
        self._counted.append(counted)
        return FailurePolicy(self._limit, uuid.uuid4().hex, pickle.dumps(counted.counts))

    def note(self, observed: Mapping[str, Any]) -> None:
        """Note what Spark has counted in a batch that its own sink has written."""
        if FAILED not in observed:
            return
        failed = int(observed[FAILED])
        try:
            self.policy.open(self._model).note(int(observed[PREDICTIONS]) + failed, failed)
        except ModelFailingError as error:
            self.failure = error

    def tell(self, *, is_last: bool = False) -> None:
        """Log what has come since, if it is time to or ``is_last``."""
        for counted in self._counted:
            counted.tell(is_last=is_last)


class _Counted:
    """The failures of one model, and those of them that were told."""

    def __init__(self, spark: SparkSession, model: str) -> None:
        empty: Failures = Counter()
        self.counts = spark.sparkContext.accumulator(empty, _Sum())
        self._told: Failures = Counter()
        self._log = FailureLog(model, ", which became dead letters")

    def tell(self, *, is_last: bool) -> None:
        """Log what has come since, if it is time to or ``is_last``."""
        found = self.counts.value
        if found is not self._told:
            self._log.add(Counter(found) - Counter(self._told))
            self._told = found
        self._log.tell(is_last=is_last)


class _Sum(AccumulatorParam[Failures]):
    """Sums failures. Each sum is a new object, because another thread reads it."""

    def zero(self, value: Failures) -> Failures:
        """See Spark."""
        return Counter()

    def addInPlace(self, value1: Failures, value2: Failures) -> Failures:  # noqa: N802 - Spark's
        """See Spark."""
        return merge_failures(value1, value2)
