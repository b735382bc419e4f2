"""A challenger and shadows score a topic beside the champion, and cost no answer."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import joblib
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lib.errors import SettingsError, SinkRetryExhaustedError
from lib.exactly_once.transaction.settings import OnStep, ignore_step
from lib.record.prediction import Prediction
from lib.stream.watch.stop_signal import StopSignal
from lib.telemetry.monitor import Monitor
from tests.conftest import TopicFactory
from tests.end_to_end.jobs import Deployment, read_account
from tests.end_to_end.query import start_query
from tests.score.models import export_fussy_onnx, fit_fussy_pipeline
from tests.support.deadly_model import DeadlyModel
from tests.support.telco import CONTRACT_FILE, CUSTOMER
from tests.support.topics import Record, build_customers, produce, read_topic


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save models that raise on a tenure of 37, and one that ends its worker."""
    folder = tmp_path_factory.mktemp("rivals")
    pipeline = fit_fussy_pipeline()
    joblib.dump(pipeline, folder / "fussy.joblib")
    (folder / "fussy.onnx").write_bytes(export_fussy_onnx(pipeline))
    joblib.dump(DeadlyModel(), folder / "deadly.joblib")
    (folder / "quarter.sql").write_text("0.25D")
    return folder


def score(
    spark: SparkSession,
    deployment: Deployment,
    options: dict[str, Any],
    on_step: OnStep = ignore_step,
) -> Monitor:
    monitor = Monitor(is_on=True)
    settings = deployment.settings(contract=CONTRACT_FILE, **options)
    with StopSignal() as stop:
        query = start_query(spark, settings, on_step, stop, monitor)
        query.follow(SilentView(), stop)
    return monitor


class SilentView:
    """A view that shows nothing."""

    def show(self, batch: Any, totals: Any) -> None:
        """Do nothing."""

    def close(self, totals: Any) -> None:
        """Do nothing."""


class FailingOnce:
    """Ends the first transaction of a batch when all of its messages have been produced."""

    def __init__(self) -> None:
        self.passed = 0

    def __call__(self, step: str) -> None:
        self.passed += step == "offsets_sent"
        if self.passed == 2 and step == "offsets_sent":  # the first one takes the group over
            raise SinkRetryExhaustedError("the test ends this attempt")


def choose_by_spark(spark: SparkSession, records: list[Record], share: float) -> set[bytes]:
    """Choose the keys of a share by the formula that docs/try_a_model.md shows."""
    keys = spark.createDataFrame([(bytearray(key),) for key, _ in records], "key binary")
    chosen = F.expr(f"pmod(hash(substring(key, 1, 256)), 1000000) < {share} * 1000000")
    return {bytes(row.key) for row in keys.where(chosen).collect()}


@pytest.mark.parametrize(
    "options",
    [
        {"commit": "driver"},
        {"commit": "executor"},
        {"delivery": "at-least-once"},
    ],
    ids=lambda options: next(iter(options.values())),
)
def test_a_challenger_answers_its_share_and_shadows_see_all_records(
    spark: SparkSession,
    deployment: Deployment,
    topic: TopicFactory,
    models: Path,
    options: dict[str, str],
) -> None:
    records = build_customers(2_000, bad_share=0.02)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    shadow_topic = topic(2)

    rivals = {
        "challenger": str(models / "fussy.joblib"),
        "challenger_share": 0.3,
        "shadow": [str(models / "fussy.onnx"), "churn@1"],
        "shadow_topic": shadow_topic,
        "max_offsets_per_trigger": 700,
        "backend": "sklearn",
    }
    monitor = score(spark, deployment, {**rivals, **options}, FailingOnce())

    account = read_account(deployment, records)
    assert account.faults == {}
    chosen = choose_by_spark(spark, records, 0.3)
    by_model = {key: it.model for key, it in account.predictions.items()}
    assert set(by_model.values()) == {"churn@1/sklearn", "fussy/sklearn"}
    assert {key for key, it in by_model.items() if it == "fussy/sklearn"} <= chosen
    assert not {key for key, it in by_model.items() if it == "churn@1/sklearn"} & chosen

    # The challenger fails on one tenure: those records are dead letters, which shadows score too.
    scored = account.predictions.keys() | {
        key for key, it in account.dead_letters.items() if it.error_type == "inference_error"
    }
    found: Counter[tuple[bytes, str]] = Counter()
    errors = set()
    for message in read_topic(deployment.bootstrap_servers, shadow_topic):
        key, answer = message.key(), Prediction.from_value(message.value() or b"", CUSTOMER)
        assert isinstance(key, bytes)
        found[key, answer.model] += 1
        if answer.shadow_error:
            errors.add((key, answer.model))
            assert answer.probability is None
        twin = account.predictions.get(key)
        if twin is not None:
            same = (twin.identifier, twin.event_time, twin.processed)
            assert (answer.identifier, answer.event_time, answer.processed) == same
        if by_model.get(key) == "churn@1/sklearn" and answer.model == "churn@1/onnx":
            assert twin is not None
            assert answer.probability == pytest.approx(twin.probability, abs=2e-5)
    assert found == {(key, it): 1 for key in scored for it in ("fussy/onnx", "churn@1/onnx")}
    unknown = {key for key, value in records if key in scored and read_tenure(value) == 37}
    assert errors == {(key, "fussy/onnx") for key in unknown}
    assert unknown

    outcomes = monitor.figures.tally.outcomes[shadow_topic]
    assert sum(outcomes.values()) == 2 * len(scored)
    by_relation = Counter(tuple(it.split("\t")[:2]) for it in outcomes)
    assert by_relation["churn@1/onnx", "alone"]
    assert not by_relation["churn@1/onnx", "differs"]
    assert monitor.figures.count_outcomes(deployment.output_topic).keys() == {
        f"{model}\t{label}"
        for model, label in {(it.model, it.label) for it in account.predictions.values()}
    }


def test_a_challenger_in_the_jvm_answers_the_same_share(
    spark: SparkSession, deployment: Deployment, models: Path
) -> None:
    records = build_customers(1_000, bad_share=0.02)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    options = {
        "challenger": str(models / "quarter.sql"),
        "challenger_share": 0.3,
        "backend": "sql",
        "commit": "executor",
    }

    monitor = score(spark, deployment, options)

    account = read_account(deployment, records)
    assert account.faults == {}
    chosen = choose_by_spark(spark, records, 0.3) & account.predictions.keys()
    by_challenger = {
        key: (it.probability, it.label)
        for key, it in account.predictions.items()
        if it.model == "quarter/sql"
    }
    assert by_challenger == dict.fromkeys(chosen, (0.25, "No"))
    assert {it.model for it in account.predictions.values()} == {"churn@1/sql", "quarter/sql"}
    counts = monitor.figures.count_predictions()
    assert counts["quarter/sql", "No"] == len(chosen)
    assert sum(counts.values()) == len(account.predictions)


def test_a_challenger_in_another_engine_is_refused(
    spark: SparkSession, deployment: Deployment, models: Path
) -> None:
    options = {"challenger": str(models / "fussy.joblib"), "backend": "sql"}

    with pytest.raises(SettingsError) as refusal:
        score(spark, deployment, options)

    assert refusal.value.message == (
        "--challenger: found the model fussy/sklearn, which scores in Python workers, expected one"
        " that scores inside Spark's JVM, as the champion churn@1/sql does"
    )


def read_tenure(value: bytes | None) -> int | None:
    tenure: int | None = json.loads(value or b"{}").get("tenure")
    return tenure


@pytest.mark.parametrize("commit", ["driver", "executor"])
def test_a_shadow_that_ends_its_worker_costs_its_own_answers_only(
    spark: SparkSession,
    deployment: Deployment,
    topic: TopicFactory,
    models: Path,
    commit: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    records = build_customers(300)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    shadow_topic = topic(1)

    options = {
        "shadow": [str(models / "deadly.joblib")],
        "shadow_topic": shadow_topic,
        "max_offsets_per_trigger": 100,
        "commit": commit,
    }
    monitor = score(spark, deployment, options)

    assert read_account(deployment, records).faults == {}
    assert read_topic(deployment.bootstrap_servers, shadow_topic) == []
    assert sum("is written without what shadows answer" in it for it in caplog.messages) == 1
    assert monitor.figures.spare_batches >= 3


def test_at_least_once_the_query_goes_on_without_a_shadow_that_ends_its_worker(
    spark: SparkSession,
    deployment: Deployment,
    topic: TopicFactory,
    models: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    records = build_customers(100)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    shadow_topic = topic(1)
    options = {
        "shadow": [str(models / "deadly.joblib")],
        "shadow_topic": shadow_topic,
        "delivery": "at-least-once",
    }

    monitor = score(spark, deployment, options)

    account = read_account(deployment, records)
    assert not account.missing
    assert len(account.predictions) == 100
    assert sum("goes on without what shadows answer" in it for it in caplog.messages) == 1
    assert monitor.figures.restarts == {"QueryFailedError": 1}


def test_a_shadow_whose_topic_refuses_a_message_costs_its_own_answers_only(
    spark: SparkSession, deployment: Deployment, topic: TopicFactory, models: Path
) -> None:
    records = build_customers(100)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    narrow = topic(1, {"max.message.bytes": "100"})

    options = {"shadow": [str(models / "fussy.onnx")], "shadow_topic": narrow}
    monitor = score(spark, deployment, options)

    assert read_account(deployment, records).faults == {}
    assert read_topic(deployment.bootstrap_servers, narrow) == []
    assert monitor.figures.spare_batches == 1
    assert not monitor.figures.restarts
