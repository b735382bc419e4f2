"""Run the job's query in this process, on the session of the tests."""

from __future__ import annotations

from pyspark.sql import SparkSession

from lib.exactly_once.transaction.settings import OnStep, ignore_step
from lib.score.choice import load_backend
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.stream.route import choose_route
from lib.stream.running_query import RunningQuery
from lib.stream.start import start_stream
from lib.stream.trial.models import load_trial
from lib.stream.watch.stop_signal import StopSignal
from lib.telemetry.monitor import Monitor
from tests.support.telco import CUSTOMER


def start_query(
    spark: SparkSession,
    settings: ScoreStreamSettings,
    on_step: OnStep = ignore_step,
    stop: StopSignal | None = None,
    monitor: Monitor | None = None,
) -> RunningQuery:
    """Start scoring, as ``jobs/score_stream.py`` does, without its checks.

    Args:
        spark: the session of the tests.
        settings: settings of the job.
        on_step: function that is called at each step of a transaction, and may raise.
        stop: stop signal that ends waiting.
        monitor: state and figures, which the query keeps up to date.
    """
    monitor = monitor or Monitor()
    scorer = monitor.load(lambda: load_backend(spark, settings))
    route = choose_route(spark, settings, scorer)
    trial = load_trial(spark, settings, scorer, CUSTOMER)
    return start_stream(spark, settings, scorer, CUSTOMER, route, on_step, stop, monitor, trial)
