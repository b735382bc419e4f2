"""Evaluates what has come since the last run, and makes the result the current one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # it ships no types
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from lib.errors import EvaluationError
from lib.evaluation import inputs
from lib.evaluation.baseline import find_baseline
from lib.evaluation.definition import Status
from lib.evaluation.findings import Findings, Reading, build_parts
from lib.evaluation.generations import (
    OUTCOMES,
    REFUSED,
    REPORT_FILE,
    STATE_FILE,
    TABLE,
    Generations,
    OnStep,
    ignore_step,
    write_json,
)
from lib.evaluation.join import JOINED, join_outcomes
from lib.evaluation.planning import Task, check_names, list_names, plan_reading
from lib.evaluation.progress import FileRange, TopicRange
from lib.evaluation.report.report import write_report
from lib.evaluation.tallies import Scores, count_cells, count_outcomes, count_refused
from lib.kafka.secrets import hide_secrets
from lib.sink.kept import keep_on_disk
from lib.spark.quoting import name_local_path
from lib.spark.root_cause import find_root_cause

_WORK = "work"
_POSITION_FORM = 1


@dataclass(frozen=True)
class Result:
    """The result of a run: the findings, and the folder of the generation."""

    findings: Findings
    folder: Path


def evaluate(spark: SparkSession, task: Task, on_step: OnStep = ignore_step) -> Result:
    """Evaluate what has come since the last run.

    Guarantee: each prediction and each outcome counts once, and the current result is a whole one,
    whatever process is killed at whatever moment. Two runs never write at once. Runs on the driver,
    and on executors that reach the output folder.

    Raises:
        EvaluationError: another run holds the folder, or something is gone that was to be read.
        SourceError: files cannot be read.
        KafkaSetupError: brokers do not tell of a topic.
    """
    generations = Generations(task.output, on_step)
    with generations.locked(), _explain(task):
        state = generations.read_state()
        check_names(task, state)
        old = generations.current
        ranges, positions = plan_reading(spark, task, state)
        on_step("planned")
        fresh = generations.begin()
        refused_first = _write_outcomes(spark, task, ranges["outcomes"], old, fresh)
        on_step("outcomes written")
        reading = _write_table(spark, task, ranges, old, fresh, refused_first)
        on_step("table written")
        findings = _find(spark, task, fresh, reading)
        for name, content in write_report(findings).items():
            (fresh / name).write_bytes(content)
        write_json(fresh / REPORT_FILE, findings.to_json())
        write_json(
            fresh / STATE_FILE,
            {"form": _POSITION_FORM, "names": list_names(task)}
            | {side: it.to_json() for side, it in positions.items()},
        )
        shutil.rmtree(fresh / _WORK)
        on_step("report written")
        generations.publish(fresh)
    return Result(findings, fresh)


@contextmanager
def _explain(task: Task) -> Iterator[None]:
    """Turn errors of libraries into one line; none of them has changed the current result."""
    try:
        yield
    except KafkaException as error:
        raise EvaluationError(
            f"the brokers do not tell of the topics: {error.args[0].str()}",
            hint="check the brokers, and the right to read and describe the topics",
        ) from error
    except (PySparkException, Py4JJavaError) as error:
        reason = hide_secrets(find_root_cause(error), task.cluster.for_spark())
        raise EvaluationError(
            f"reading, joining or writing failed: {reason}",
            hint="start it again: the current result is unchanged; --verbose shows the whole trace",
        ) from error


def _write_outcomes(
    spark: SparkSession, task: Task, part: TopicRange | FileRange, old: Path | None, fresh: Path
) -> int:
    """Write the distinct outcomes so far, and the refused ones; return how many are new."""
    judged = inputs.read_outcomes(spark, part, task.cluster, task.contract, task.time_name)
    with keep_on_disk(judged) as kept:
        new = inputs.take_rows(kept)
        known = _read(spark, old, OUTCOMES, inputs.OUTCOME_SCHEMA).unionByName(new)
        distinct = known.groupBy("identifier", "label", "time").agg(
            F.sum("messages").alias("messages")
        )
        _write(distinct, fresh / OUTCOMES)
        refused = _read(spark, old, REFUSED, inputs.REFUSED_SCHEMA)
        _write(refused.unionByName(inputs.take_refused(kept, "outcome")), fresh / REFUSED)
        return new.count()


def _write_table(
    spark: SparkSession,
    task: Task,
    ranges: Mapping[str, TopicRange | FileRange],
    old: Path | None,
    fresh: Path,
    new_outcomes: int,
) -> Reading:
    """Write a row for each prediction so far, and count what has changed."""
    judged = inputs.read_predictions(spark, ranges["predictions"], task.cluster, task.contract)
    outcomes = _read(spark, fresh, OUTCOMES, inputs.OUTCOME_SCHEMA)
    was = f"{inputs.PREDICTION_SCHEMA}, status string, outcome string"
    with keep_on_disk(judged) as kept:
        new = inputs.take_rows(kept)
        before = _read(spark, old, TABLE, was).withColumnsRenamed(
            {"status": "_status", "outcome": "_outcome"}
        )
        table = join_outcomes(
            before.unionByName(new, allowMissingColumns=True), outcomes, task.definition
        )
        is_labelled = F.col("status") == str(Status.LABELLED)
        observation = Observation("changes")
        observed = table.observe(
            observation,
            F.count_if(F.col("_status").isNull()).alias("new"),
            F.count_if((F.col("_status") == str(Status.UNLABELLED)) & is_labelled).alias("updated"),
            F.count_if(F.col("_outcome") != F.col("outcome")).alias("changed"),
        )
        names = [field.split()[0] for field in inputs.PREDICTION_SCHEMA.split(",")]
        _write(observed.select(*names, *JOINED), fresh / TABLE)
        _write(inputs.take_refused(kept, "prediction"), fresh / REFUSED)
    found = observation.get
    gone = sum(it.gone for it in ranges.values())
    return Reading(found["new"], new_outcomes, found["updated"], found["changed"], gone)


def _find(spark: SparkSession, task: Task, fresh: Path, reading: Reading) -> Findings:
    """Count and measure the table that was written."""
    table = spark.read.parquet(name_local_path(fresh / TABLE))
    outcomes = _read(spark, fresh, OUTCOMES, inputs.OUTCOME_SCHEMA)
    refused = _read(spark, fresh, REFUSED, inputs.REFUSED_SCHEMA)
    scores = Scores(fresh / _WORK)
    scores.write(table, task.definition, task.contract)
    parts = build_parts(
        count_cells(table, task.definition),
        task.definition,
        scores.measure,
        lambda version: find_baseline(task.store, version),
    )
    return Findings(
        label=task.contract.label.name,
        positive=task.contract.positive_label,
        definition=task.definition,
        reading=reading,
        outcomes=count_outcomes(outcomes, table),
        refused=count_refused(refused),
        **parts,
    )


def _read(spark: SparkSession, folder: Path | None, name: str, schema: str) -> DataFrame:
    """Read a part of a generation; empty before the first."""
    if folder is None:
        return inputs.build_empty(spark, schema)
    return spark.read.schema(schema).parquet(name_local_path(folder / name))


def _write(frame: DataFrame, path: Path) -> None:
    frame.write.mode("append").parquet(name_local_path(path))
