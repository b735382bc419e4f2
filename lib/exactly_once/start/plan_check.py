"""Refuses plans for which the sink cannot keep its promise.

Each message has to answer a record of its own batch. With commits on executors, each source
partition has to stay in one task as well.
"""

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
# Logical operators that leave every row in the batch that read it.
_STAYS_IN_BATCH = _STAYS_IN_TASK | {
    *("Repartition", "RepartitionByExpression", "RebalancePartitions", "Union", "Sample", "Expand"),
    *("WithCTE", "CTERelationDef", "CTERelationRef", "ResolvedHint", "UnresolvedHint"),
    # These group the rows of one batch. Operators with state have other names.
    *("MapGroups", "FlatMapGroupsInPandas", "FlatMapGroupsInArrow"),
    *("AppendColumns", "AppendColumnsWithObject"),
}
_SPLITTING_OPTIONS = ("minPartitions", "maxRecordsPerPartition")
_HINT = "take it out of the plan, or commit on the driver: --commit driver"


def check_plan(frame: DataFrame, *, is_by_tasks: bool) -> None:
    """Refuse a plan for which the sink cannot keep its promise.

    Args:
        frame: a streaming frame on one Kafka source.
        is_by_tasks: whether tasks commit their own messages.

    Raises:
        PlanRefusedError: the error names the operator, the option or the setting, and the reason.
    """
    plan: Any = frame._jdf.queryExecution().analyzed()
    _check_batches(plan)
    if is_by_tasks:
        _check_tasks(frame, plan)


def _check_batches(plan: Any) -> None:
    """Refuse operators with state, which emit rows after their offsets were committed."""
    for node in _walk(plan, is_streaming=True):
        name = node.nodeName()
        is_lookup = name == "Join" and len(_list_children(node, is_streaming=True)) == 1
        if name not in _STAYS_IN_BATCH and not is_lookup:
            raise PlanRefusedError(
                f"the plan has the operator {name}, which may keep rows for a later batch: a"
                " message would answer records of an earlier one, and be left out as already"
                " written",
                hint="take it out of the plan: write each record's messages with this sink, and"
                " aggregate, join streams or drop duplicates in a query on the topic it writes",
            )


def _check_tasks(frame: DataFrame, plan: Any) -> None:
    """Refuse settings, operators and options that do not make one task of each partition."""
    if frame.sparkSession.sparkContext.getConf().get("spark.speculation", "false") == "true":
        raise PlanRefusedError(
            "spark.speculation is on: two attempts of a task would fence each other's producer",
            hint="set spark.speculation=false, or commit on the driver: --commit driver",
        )
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


def _walk(plan: Any, *, is_streaming: bool = False) -> Iterator[Any]:
    """Iterate over all operators, or over those that rows of the stream pass."""
    yield plan
    for child in _list_children(plan, is_streaming=is_streaming):
        yield from _walk(child, is_streaming=is_streaming)


def _list_children(node: Any, *, is_streaming: bool) -> list[Any]:
    children = node.children()
    found = [children.apply(number) for number in range(children.size())]
    return [child for child in found if child.isStreaming() or not is_streaming]
