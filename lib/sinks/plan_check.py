"""Whether a plan keeps each source partition in one task, as commits on executors need it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyspark.sql import DataFrame

from lib.errors import PlanRefusedError

# Logical operators that leave every row in the task that read it.
_STAYS_IN_TASK = frozenset(
    {
        *("Project", "Filter", "Generate", "SubqueryAlias", "View", "CollectMetrics"),
        *("MapInPandas", "MapInArrow", "MapPartitions", "MapElements", "TypedFilter"),
        *("SerializeFromObject", "DeserializeToObject", "EventTimeWatermark"),
        *("StreamingRelation", "StreamingRelationV2", "StreamingExecutionRelation"),
    }
)
_SPLITTING_OPTIONS = ("minPartitions", "maxRecordsPerPartition")
_HINT = "take it out of the plan, or commit on the driver: --commit driver"


def check_plan(frame: DataFrame) -> None:
    """Refuse a plan whose tasks are not the source partitions.

    Args:
        frame: a streaming frame on one Kafka source.

    Raises:
        PlanRefusedError: names the operator, the option or the setting, and why.
    """
    if frame.sparkSession.sparkContext.getConf().get("spark.speculation", "false") == "true":
        raise PlanRefusedError(
            "spark.speculation is on: two attempts of a task would fence each other's producer",
            hint="set spark.speculation=false, or commit on the driver: --commit driver",
        )
    plan: Any = frame._jdf.queryExecution().analyzed()
    for node in _walk(plan):
        name = node.nodeName()
        if name not in _STAYS_IN_TASK:
            raise PlanRefusedError(
                f"the plan has the operator {name}, which may move rows between tasks: a source"
                " partition would be written by several tasks, which would fence each other",
                hint=_HINT,
            )
        if name == "StreamingRelationV2":
            _check_source(node)


def _check_source(relation: Any) -> None:
    options = relation.extraOptions()
    for option in _SPLITTING_OPTIONS:
        value = options.get(option)
        if value is not None:
            raise PlanRefusedError(
                f"the Kafka source has the option {option}={value}, which splits source"
                " partitions: their tasks would fence each other",
                hint=_HINT,
            )


def _walk(plan: Any) -> Iterator[Any]:
    yield plan
    children = plan.children()
    for number in range(children.size()):
        yield from _walk(children.apply(number))
