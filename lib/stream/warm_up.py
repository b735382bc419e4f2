"""Warms up Python workers before the first batch comes."""

from __future__ import annotations

import json
import logging
import uuid
from types import TracebackType

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lib.background import Background
from lib.errors import name_error
from lib.messages.columns import SOURCE_TYPES
from lib.messages.dead_letter import OutputSettings
from lib.record.contract import Contract
from lib.spark.session import is_local
from lib.stream.plan import Scorer, score_records
from lib.stream.route import Route
from lib.stream.trial.models import NO_TRIAL, Trial

logger = logging.getLogger(__name__)

# A stop must not wait for a worker that hangs.
_PATIENCE_S = 10.0


class WarmUp(Background):
    """Lets each Python worker score a stand-in, while the block takes over the group.

    A worker starts, imports its libraries and opens the model in the time in which the driver
    mostly waits for Kafka; otherwise the first batch would wait for all that. The answers are
    thrown away. What goes wrong here goes wrong again in the first batch, which reports it.

    If the block fails, the process will end soon: then the warm-up ends too, because Python's end
    aborts the process, with another exit code, while a thread is in the code of a C++ library.

    Does nothing where there is nothing for workers to do, or where executors are on other machines:
    there may be none yet.

    Args:
        spark: the session.
        scorer: the loaded model backend.
        contract: the contract of the records.
        route: the route, which says who decodes and who scores.
        trial: the other models that score the same records.
    """

    def __init__(
        self,
        spark: SparkSession,
        scorer: Scorer,
        contract: Contract,
        route: Route,
        trial: Trial = NO_TRIAL,
    ) -> None:
        super().__init__("warm-up", patience_s=_PATIENCE_S)
        self._spark = spark
        self._scorer = scorer
        self._contract = contract
        self._route = route
        self._trial = trial
        self._group = f"warm-up-{uuid.uuid4().hex}"
        self._is_needed = is_local(spark) and route.has_workers
        if route.score == "workers":
            # This makes a copy of the model that the query shares, so no thread does it.
            for model in (scorer, *trial.list_scorers()):
                model.build_batch_scorer(spark)

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(exception_type, exception, traceback)
        if exception is not None and self._thread.is_alive():
            self._spark.sparkContext.cancelJobGroup(self._group)
            self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        if not self._is_needed:
            return
        try:
            self._score_stand_ins()
        except Exception as error:  # noqa: BLE001 - the first batch reports it
            logger.info("the warm-up failed error=%s", name_error(error))

    def _score_stand_ins(self) -> None:
        context = self._spark.sparkContext
        records = build_stand_ins(self._spark, self._contract, context.defaultParallelism)
        output = OutputSettings("", "", "")
        context.setJobGroup(self._group, "warm-up of the Python workers")
        messages = score_records(
            *(records, self._scorer, self._contract, output, self._route), trial=self._trial
        )
        messages.toArrow()


def build_stand_ins(spark: SparkSession, contract: Contract, count: int) -> DataFrame:
    """Build valid records, each in a partition of its own: ``SOURCE_COLUMNS``."""
    record = {contract.identifier.name: "warm-up", **contract.stand_ins}
    values = {
        "source_value": F.lit(json.dumps(record).encode()),
        "source_topic": F.lit("warm-up"),
        "source_partition": F.lit(0),
        "source_offset": F.col("id"),
        "source_timestamp": F.current_timestamp(),
    }
    columns = [
        values.get(name, F.lit(None)).cast(kind).alias(name) for name, kind in SOURCE_TYPES.items()
    ]
    return spark.range(0, count, 1, count).select(*columns)
