"""Judge predictions by the outcomes that came to be known afterwards.

Run it with ``./spark-submit.sh jobs/evaluate.py --help``, or in this process with
``.venv/bin/python jobs/evaluate.py``.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console

from lib.errors import SettingsError
from lib.evaluation.definition import Definition
from lib.evaluation.generations import OnStep, ignore_step
from lib.evaluation.planning import Side, Task
from lib.evaluation.report.console import build_tables, describe_findings
from lib.evaluation.run import evaluate
from lib.kafka.partitions import parse_moment
from lib.record.contract import Contract
from lib.record.contract_file import read_contract
from lib.settings.command import run_job
from lib.settings.jobs.quality.evaluate import EvaluateSettings
from lib.source.kafka import check_java_client
from lib.spark.local_session import build_local_session
from lib.store import ModelStore, read_version_contract


def evaluate_predictions(settings: EvaluateSettings, on_step: OnStep = ignore_step) -> int:
    """Evaluate what has come since the last run, and describe the whole.

    Raises:
        ScoringError: a source cannot be read, or another run holds the folder.
    """
    task = build_task(settings)
    spark = build_local_session("evaluate")
    if not (settings.prediction_files and settings.outcome_files):
        check_java_client(spark, settings.cluster)
    result = evaluate(spark, task, on_step)
    console = Console(highlight=False)
    for table in build_tables(result.findings):
        console.print(table)
    console.print(describe_findings(result.findings), soft_wrap=True)
    console.print(f"report       {settings.output / 'current' / 'report.html'}", soft_wrap=True)
    return 0


def build_task(settings: EvaluateSettings) -> Task:
    """Build the task that the settings describe.

    Raises:
        SettingsError: no outcomes are named.
        ScoringError: the contract cannot be read.
    """
    if not settings.outcome_files and not settings.outcome_topic:
        raise SettingsError(
            "--outcome-topic: found none, expected a topic, or --outcome-files PATH",
            hint="name where the outcomes are; docs/outcomes.md says what they look like",
        )
    definition = Definition(
        as_of=parse_moment(settings.as_of, datetime.now(UTC)),
        by_event_time=settings.prediction_time == "event",
        horizon_days=settings.horizon,
        max_age_days=settings.max_age,
        mature_after_days=settings.mature_after,
        recent_weeks=settings.recent_weeks,
    )
    return Task(
        output=settings.output,
        predictions=Side("--prediction-files", settings.output_topic, settings.prediction_files),
        outcomes=Side("--outcome-files", settings.outcome_topic, settings.outcome_files),
        cluster=settings.cluster,
        contract=find_contract(settings),
        time_name=settings.outcome_time,
        store=settings.store,
        definition=definition,
        accept_gone=settings.accept_gone,
    )


def find_contract(settings: EvaluateSettings) -> Contract:
    """Find the contract that names the fields: that of a file, or the version's own."""
    if settings.contract is not None:
        return read_contract(settings.contract)
    return read_version_contract(ModelStore(settings.store).resolve(settings.model))


if __name__ == "__main__":
    sys.exit(run_job(EvaluateSettings, evaluate_predictions))
