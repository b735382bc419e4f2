"""Score a Kafka topic of customers and write every prediction back exactly once.

Run it with ``./spark-submit.sh jobs/score_stream.py --help``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.sql import SparkSession

from lib.errors import QueryHungError, ScoringError
from lib.exactly_once.transaction.settings import OnStep, ignore_step
from lib.exit_codes import ExitCode
from lib.score.choice import find_contract, find_model, load_backend
from lib.settings.command import report_error, run_job
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.source.kafka import check_java_client
from lib.spark.session import build_session, check_connector, stop_session
from lib.stream.mode_check import check_mode
from lib.stream.preflight import check_kafka
from lib.stream.route import choose_route
from lib.stream.start import start_stream
from lib.stream.start_log import StartLog
from lib.stream.trial.models import load_trial
from lib.stream.warm_up import WarmUp
from lib.stream.watch.process_end import end_process, has_jvm
from lib.stream.watch.stop_signal import StopSignal
from lib.telemetry.console import build_view
from lib.telemetry.monitor import Monitor
from lib.telemetry.state import State
from lib.telemetry.web.serving import serve


def score_stream(settings: ScoreStreamSettings, on_step: OnStep = ignore_step) -> int:
    """Check the settings, start the query and follow it; ``on_step``: see TransactionSettings."""
    monitor = Monitor(is_on=bool(settings.metrics or settings.console or settings.drift))
    with (
        serve(settings, monitor),
        StopSignal(settings.stop_timeout, end_process) as stop,
        StartLog(monitor.job) as log,
    ):
        if has_jvm():
            stop.watch_jvm()
        with log.waiting_for("answers of the brokers"):
            view = check_kafka(settings)
        monitor.figures.program = log.tell_program()
        log.tell_kafka(settings, view)
        with log.waiting_for("Spark's session"):
            spark = build_session(settings.query_name)
        stop.watch_jvm()
        code = ExitCode.DONE
        try:
            run_stream(spark, settings, stop, on_step, log, monitor)
        except QueryHungError as error:
            if not stop.is_requested:
                report_error(error)
            end_process(stop.exit_code if stop.is_requested else ExitCode.FAILED)
        except ScoringError:
            if not stop.is_requested:
                raise
            code = stop.exit_code  # a query that a stop interrupts fails
        finally:
            stop_session(spark)
        if stop.is_requested:
            # Python would wait for abandoned threads, which wait for Kafka.
            end_process(code, with_jvm=False)
    return code


def run_stream(
    spark: SparkSession,
    settings: ScoreStreamSettings,
    stop: StopSignal,
    on_step: OnStep,
    log: StartLog,
    monitor: Monitor,
) -> None:
    """Load the model, start the query and follow it to its end.

    Raises:
        ScoringError: a model, topic or setting cannot be used, or the query failed.
    """
    check_connector(spark)
    check_java_client(spark, settings.cluster)
    with log.waiting_for("the model"):
        path = find_model(settings)
        contract = find_contract(settings, path)
        scorer = monitor.load(lambda: load_backend(spark, settings, path))
        route = choose_route(spark, settings, scorer)
        check_mode(spark, settings, scorer, route)
        log.tell_model(scorer, route, trial := load_trial(spark, settings, scorer, contract))
    with (
        log.waiting_for("the Python workers"),
        WarmUp(spark, scorer, contract, route, trial),
        log.waiting_for("Kafka and the checkpoint, to take the query over", State.TAKING_OVER),
    ):
        parts = (spark, settings, scorer, contract, route)
        stream = start_stream(*parts, on_step, stop, monitor, trial)
    log.tell_query(spark, settings, route, stream)
    view = build_view(sys.stdout, os.environ.get("SCORE_TERMINAL"), settings.log_format)
    stream.follow(view, stop)


if __name__ == "__main__":
    sys.exit(run_job(ScoreStreamSettings, score_stream))
