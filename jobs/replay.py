"""Score Parquet files of customers with the plan of the stream, to Parquet files.

Run it with ``./spark-submit.sh jobs/replay.py --help``, or in this process with
``.venv/bin/python jobs/replay.py``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.messages.dead_letter import DeadLetterFormat, OutputSettings
from lib.score.choice import find_contract, find_model, load_backend
from lib.settings.command import run_job
from lib.settings.jobs.replay import ReplaySettings
from lib.sink.parquet import DEAD_LETTERS, PREDICTIONS, ParquetSink
from lib.source.parquet import read_parquet
from lib.spark.local_session import build_local_session
from lib.stream.plan import score_records
from lib.stream.reasons import find_reasons
from lib.stream.route import choose_route
from lib.stream.watch.model_failures import ModelFailures


def replay(settings: ReplaySettings) -> int:
    """Run the job until everything is written.

    Raises:
        ScoringError: input, model or output cannot be used.
    """
    spark = build_local_session("replay")
    path = find_model(settings)
    contract = find_contract(settings, path)
    records = read_parquet(spark, settings.input, contract)
    sink = ParquetSink(settings.output, overwrite=settings.overwrite)
    sink.check(records)
    scorer = load_backend(spark, settings, path)
    output = OutputSettings(
        output_topic=PREDICTIONS,
        dead_letter_topic=DEAD_LETTERS,
        consumer_group="replay",
        dead_letter_format=DeadLetterFormat(settings.dead_letter_format),
        reasons=find_reasons(scorer, settings.reasons),
        carried_headers=settings.carried_headers,
    )
    started_s = time.monotonic()
    route = choose_route(spark, settings, scorer)
    failures = ModelFailures(spark, scorer.scored_by, settings.model_failure_limit)
    messages = score_records(records, scorer, contract, output, route, failures.policy)
    try:
        tally = failures.policy.open(scorer.scored_by) if route.score == "jvm" else None
        report = sink.write(messages, output, contract, tally)
    finally:
        failures.tell(is_last=True)
    total, duration_s = report.predictions + report.dead_letters, time.monotonic() - started_s
    print(
        f"{total:,} records in {duration_s:.1f} s by {scorer.scored_by}:"
        f" {report.predictions:,} predictions, {report.dead_letters:,} dead letters"
        f" in {settings.output}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(run_job(ReplaySettings, replay))
