"""Every record is accounted for on the whole way: Kafka → Spark → model → Kafka."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import pandas as pd
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families
from pyspark.sql import SparkSession

from lib.decode.engines.python import decode_value
from lib.drift.bins import count_places
from lib.drift.judgement import judge_window
from lib.drift.profile import Profile
from lib.drift.window import Window
from lib.errors import ModelFailingError
from lib.exit_codes import find_exit_code
from lib.inference_backend import load_model, predict
from lib.messages.effects import list_reasons
from lib.record.violations import RECORD_RULES
from lib.stream.reasons import find_reasons
from lib.stream.watch.stop_signal import StopSignal
from lib.telemetry.metrics import write_metrics
from lib.telemetry.monitor import Monitor
from lib.telemetry.progress import BatchProgress, Totals
from lib.waiting import wait_until
from tests.docs.documents import read_section
from tests.drift.profiles import place_column
from tests.end_to_end.jobs import Deployment, read_account
from tests.end_to_end.query import start_query
from tests.score.models import export_fussy_onnx, fit_fussy_pipeline
from tests.support.records import record
from tests.support.telco import CONTRACT_FILE, CUSTOMER
from tests.support.topics import Record, build_customers, produce, read_topic

if TYPE_CHECKING:
    from tests.conftest import TopicFactory


@pytest.fixture(scope="module")
def fussy_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a model that fails on some records, for scikit-learn, as an ONNX graph and in SQL."""
    folder = tmp_path_factory.mktemp("fussy")
    pipeline = fit_fussy_pipeline()
    joblib.dump(pipeline, folder / "fussy.joblib")
    (folder / "fussy.onnx").write_bytes(export_fussy_onnx(pipeline))
    (folder / "fussy.sql").write_text("CASE WHEN tenure = 37 THEN NULL ELSE 0.25D END")
    return folder


class RecordingView:
    """A view that keeps what the job would show."""

    def __init__(self) -> None:
        self.batches: list[BatchProgress] = []
        self.totals = Totals()

    def show(self, batch: BatchProgress, totals: Totals) -> None:
        self.batches.append(batch)

    def close(self, totals: Totals) -> None:
        self.totals = totals


def score(spark: SparkSession, deployment: Deployment, **options: Any) -> RecordingView:
    monitor: Monitor | None = options.pop("monitor", None)
    settings = deployment.settings(**options)
    view = RecordingView()
    with StopSignal() as stop:
        start_query(spark, settings, stop=stop, monitor=monitor).follow(view, stop)
    return view


def count_metrics(monitor: Monitor) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the name of each metric → the values of its labels, in their order → number."""
    samples: dict[str, dict[tuple[str, ...], float]] = {}
    text = write_metrics(monitor.figures, monitor.job).decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = sample.name.removeprefix("scoring_")
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            samples.setdefault(name, {})[labels] = sample.value
    return samples


@pytest.mark.parametrize(
    "options",
    [
        {"backend": "spark"},
        {"backend": "sklearn", "drift": True},
        {"backend": "spark", "decoder": "spark", "drift": True},
        {"backend": "sql", "decoder": "python", "commit": "executor", "drift": True},
        {"backend": "sql", "decoder": "python", "delivery": "at-least-once", "drift": True},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_every_record_ends_as_one_prediction_or_one_dead_letter(
    spark: SparkSession, deployment: Deployment, options: dict[str, Any]
) -> None:
    records = build_customers(10_000, bad_share=0.02)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    monitor = Monitor(is_on=True)

    options |= {"drift_sample": 1, "drift_window_records": 100_000}
    view = score(spark, deployment, **options, monitor=monitor, max_offsets_per_trigger=3_000)

    account = read_account(deployment, records)
    assert account.faults == {}
    valid = {key for key, value in records if decode_value(value, CUSTOMER).is_valid}
    assert account.predictions.keys() == valid
    assert 100 < len(account.dead_letters) < 300
    assert len(view.batches) >= 4
    assert view.batches[-1].lag_records == 0
    assert view.totals.predictions == len(valid)
    assert view.totals.dead_letters == len(account.dead_letters)
    metrics = count_metrics(monitor)
    model = f"churn@1/{options['backend']}"
    labels = Counter(it.label for it in account.predictions.values())
    assert metrics["predictions_total"] == {(it, model): labels[it] for it in ("Yes", "No")}
    assert metrics["dead_letters_total"] == Counter(
        (it.violations[0].field, it.violations[0].rule) for it in account.dead_letters.values()
    )
    assert metrics["record_latency_seconds_count"] == {(): 10_000}
    assert metrics["event_latency_seconds_count"] == {(): 0}  # these records have no event time
    assert 0 < metrics["record_latency_seconds_sum"][()] < 10_000 * 300
    assert sum(metrics["answered_offset"].values()) == 10_000
    assert set(metrics["lag_records"].values()) == {0}
    assert metrics["batch_duration_seconds_count"] == {(): len(view.batches)}
    if options.get("drift"):
        window = read_open_window(deployment)
        assert (window.model_version, window.predictions) == (model, len(valid))
        assert window.refused == Counter(
            "" if it.violations[0].rule in RECORD_RULES else it.violations[0].field
            for it in account.dead_letters.values()
        )
        assert window.counts[:-1] == count_features(records, window.profile)
        assert sum(window.counts[-1]) == len(valid)
        # The scores of customers like those of the training are as theirs.
        assert not any(it.is_over for it in judge_window(window, 0.2))
    else:
        assert not (deployment.checkpoint / "drift").exists()


def read_open_window(deployment: Deployment) -> Window:
    """Read the window that a query has left open at its end."""
    (state,) = (deployment.checkpoint / "drift" / "states").glob("[0-9]*")
    return Window.from_json(json.loads(state.read_text())["window"])


def count_features(records: list[Record], profile: Profile) -> list[list[int]]:
    """Count the valid records in each bin."""
    decoded = [decode_value(value, CUSTOMER) for _, value in records]
    rows = pd.DataFrame([it.features for it in decoded if it.is_valid])
    return [
        list(count_places(place_column(bins, rows[bins.name]), bins.size))
        for bins in profile.features
    ]


@pytest.mark.parametrize("backend", ["sql", "onnx", "spark", "sklearn"])
def test_stream_and_predict_give_the_same_probability_with_its_reasons(
    spark: SparkSession, deployment: Deployment, backend: str
) -> None:
    records = build_customers(500, seed=5)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)

    score(spark, deployment, backend=backend, reasons=3)

    account = read_account(deployment, records)
    model = load_model(backend, f"{deployment.store}/churn@champion", spark_session=spark)
    reasons = find_reasons(model, 3)
    assert reasons is not None
    features = [dict(decode_value(value, CUSTOMER).features) for _, value in records]
    labels, probabilities = predict(model, features)
    for (key, _), label, probability, values in zip(
        records, labels, probabilities, features, strict=True
    ):
        prediction = account.predictions[key]
        listed = list_reasons(reasons, values)
        assert prediction.reasons == [{**it, "value": round_number(it["value"])} for it in listed]
        assert prediction.probability == pytest.approx(probability, abs=5.1e-7)
        assert prediction.label == label
        assert prediction.model == f"churn@1/{backend}"


def round_number(value: Any) -> Any:
    """Round a number as predictions do."""
    return round(value, 6) if isinstance(value, float) else value


HEADERS = [("trace", b"\x01\xff"), ("empty", None), ("traceparent", b"00-\xff")]
ANY_TIMESTAMP = {"message.timestamp.after.max.ms": str(2**63 - 1)}
NANOSECONDS = 1_767_323_045_678_901_234
# Kafka timestamps in milliseconds → the event time of the prediction; None where there is none.
KAFKA_TIMES = {
    1_767_323_045_678: "2026-01-02T03:04:05.678Z",
    1_767_323_045_678_901: None,  # a producer wrote microseconds
    NANOSECONDS: None,  # Spark's Kafka source cannot hold it
    253_402_300_799_999: "9999-12-31T23:59:59.999Z",
    253_402_300_800_000: None,
    9_223_372_036_854_775_807: None,
}


@pytest.mark.parametrize(
    "options",
    [
        {"backend": "onnx"},
        {"backend": "onnx", "commit": "executor"},
        {"backend": "sql", "decoder": "spark"},
        {"backend": "spark", "decoder": "python", "commit": "executor"},
    ],
    ids=lambda options: "-".join(options.values()),
)
def test_timestamps_that_no_calendar_holds_end_no_job(
    spark: SparkSession,
    deployment: Deployment,
    topic: TopicFactory,
    caplog: pytest.LogCaptureFixture,
    options: dict[str, str],
) -> None:
    deployment = replace(deployment, input_topic=topic(2, ANY_TIMESTAMP))
    valid, broken = record(), record(tenure=-1)
    sent: list[Record] = []
    settings = {"bootstrap.servers": deployment.bootstrap_servers, "transactional.id": "times"}
    producer = Producer(settings)
    producer.init_transactions(60)
    for number, is_kept in enumerate((True, False, True, False)):
        producer.begin_transaction()
        for partition in (0, 1):
            for place, milliseconds in enumerate(KAFKA_TIMES):
                for kind, value in (("good", valid), ("bad", broken)):
                    key = f"{number}/{partition}/{place}/{kind}".encode()
                    producer.produce(
                        *(deployment.input_topic, value, key, partition),
                        timestamp=milliseconds,
                        headers=[*HEADERS],
                    )
                    sent += [(key, value)] if is_kept else []
        assert producer.flush(60) == 0
        (producer.commit_transaction if is_kept else producer.abort_transaction)(60)

    limits = {"max_offsets_per_trigger": 30, "restart_limit": 0}
    view = score(spark, deployment, **options, **limits, carry_headers=["empty"])

    account = read_account(deployment, sent)
    assert account.faults == {}
    times = list(KAFKA_TIMES.values())
    assert {key: it.event_time for key, it in account.predictions.items()} == {
        key: times[int(key.split(b"/")[2])] for key, _ in sent if key.endswith(b"good")
    }
    assert len(account.dead_letters) == len(account.predictions) == 24
    letters = read_topic(deployment.bootstrap_servers, deployment.dead_letter_topic)
    assert all(list(it.headers() or ())[:3] == HEADERS for it in letters)
    predictions = read_topic(deployment.bootstrap_servers, deployment.output_topic)
    assert all(it.headers() == HEADERS[1:] for it in predictions)
    assert view.totals == Totals(view.totals.batches, 48, 24, 24)
    (line,) = [it for it in caplog.messages if "without Spark's Kafka source" in it]
    verb = "written" if options.get("commit") == "executor" else "scored"
    assert line.startswith(f"batch 0 was not {verb}: {deployment.input_topic}["), line
    assert "]@4 has the Kafka timestamp 1767323045678901234; this batch and the next 100" in line


def test_nanoseconds_end_no_job_that_answers_at_least_once(
    spark: SparkSession, deployment: Deployment, topic: TopicFactory
) -> None:
    deployment = replace(deployment, input_topic=topic(1, ANY_TIMESTAMP))
    records = build_customers(30, bad_share=0.5)
    produce(deployment.bootstrap_servers, deployment.input_topic, records, NANOSECONDS)

    options = {"delivery": "at-least-once", "backend": "sql"}
    view = score(spark, deployment, **options, max_offsets_per_trigger=10, restart_limit=1)

    assert read_account(deployment, records).faults == {}
    assert (view.totals.batches, view.totals.records) == (3, 30)


def explain_stream(spark: SparkSession, deployment: Deployment, backend: str) -> str:
    """Return Spark's plan of a query that has scored a few records."""
    produce(deployment.bootstrap_servers, deployment.input_topic, build_customers(100))
    settings = deployment.settings(backend=backend)
    with StopSignal() as stop:
        stream = start_query(spark, settings, stop=stop)
        stream.follow(RecordingView(), stop)
    plan: str = stream.query._jsq.explainInternal(False)
    return plan


@pytest.mark.parametrize(("backend", "has_python"), [("spark", True), ("sql", False)])
def test_by_default_python_decodes_for_a_pipeline_model_and_not_for_sql(
    spark: SparkSession, deployment: Deployment, backend: str, *, has_python: bool
) -> None:
    plan = explain_stream(spark, deployment, backend)
    assert ("MapInArrow" in plan) == has_python, plan


@pytest.mark.parametrize(("backend", "is_compiled"), [("onnx", False), ("sql", True)])
def test_only_a_plan_that_scores_in_the_jvm_is_compiled(
    spark: SparkSession, deployment: Deployment, backend: str, is_compiled: bool
) -> None:
    before = spark.conf.get("spark.sql.codegen.wholeStage")

    plan = explain_stream(spark, deployment, backend)

    assert ("*(1)" in plan) == is_compiled, plan
    assert spark.conf.get("spark.sql.codegen.wholeStage") == before


def test_the_fallback_is_visible_in_every_prediction(
    spark: SparkSession, deployment: Deployment, tmp_path: Any
) -> None:
    records = build_customers(20)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    lone = tmp_path / "alone.joblib"
    lone.write_bytes((deployment.store / "churn" / "1" / "pipeline.joblib").read_bytes())

    score(spark, deployment, model=str(lone), contract=CONTRACT_FILE)

    account = read_account(deployment, records)
    assert {p.model for p in account.predictions.values()} == {"alone/sklearn"}


@pytest.mark.parametrize(
    ("suffix", "options", "fix"),
    [
        ("joblib", {}, {"model": "churn@champion"}),
        ("onnx", {"commit": "executor"}, {"model_failure_limit": 1}),
        ("joblib", {"delivery": "at-least-once"}, {"model_failure_limit": 1}),
        ("sql", {}, {"model_failure_limit": 1}),
        (
            "sql",
            {"commit": "executor", "dead_letter_format": "envelope"},
            {"model_failure_limit": 1},
        ),
    ],
    ids=["driver", "executor", "at-least-once", "driver, in the JVM", "executor, in the JVM"],
)
def test_a_model_that_fails_on_nearly_all_records_stops_the_job_before_it_writes(
    spark: SparkSession,
    deployment: Deployment,
    fussy_models: Path,
    caplog: pytest.LogCaptureFixture,
    suffix: str,
    options: dict[str, Any],
    fix: dict[str, Any],
) -> None:
    good = [(b"good %d" % n, record(customerID=f"good-{n}")) for n in range(40)]
    bad = [(b"bad %d" % n, record(customerID=f"bad-{n}", tenure=37)) for n in range(900)]
    produce(deployment.bootstrap_servers, deployment.input_topic, [*good, *bad])
    lone = {"model": str(fussy_models / f"fussy.{suffix}"), "contract": CONTRACT_FILE}
    texts = {
        "joblib": "ValueError: Found unknown categories [np.int64(…)] in column … during transform",
        "onnx": "Unknown Category and zeros",
        "sql": "no probability between 0 and 1",
    }

    with pytest.raises(ModelFailingError) as caught:
        score(spark, deployment, **lone, **options)

    assert re.search(r"model fussy/\w+ failed on \d+ of \d+ records, \d+%, ", str(caught.value))
    assert texts[suffix] in caught.value.message
    assert str(caught.value).endswith("become a dead letter with --model-failure-limit 1)")
    assert find_exit_code(caught.value) == 1
    assert "starting it again" not in caplog.text
    for name in (deployment.output_topic, deployment.dead_letter_topic):
        assert read_topic(deployment.bootstrap_servers, name) == []

    score(spark, deployment, **options, **(fix if "model" in fix else lone | fix))

    account = read_account(deployment, [*good, *bad])
    assert account.faults == {}
    failed = {} if "model" in fix else dict(bad)
    assert account.dead_letters.keys() == failed.keys()
    for letter in account.dead_letters.values():
        assert letter.error_type == "inference_error"
        assert letter.message.startswith(
            "the model gave no probability between 0 and 1 for a valid record"
        )
        assert texts[suffix] in letter.message
    told = [it for it in caplog.messages if "which became dead letters" in it]
    assert sum(int(it.split(" failed on ")[1].split()[0]) for it in told) == len(failed)
    assert all(texts[suffix] in it for it in told)


def test_at_least_once_a_model_in_the_jvm_that_fails_on_nearly_all_stops_the_job_after_a_batch(
    spark: SparkSession, deployment: Deployment, fussy_models: Path
) -> None:
    bad = [(b"bad %d" % n, record(customerID=f"bad-{n}", tenure=37)) for n in range(900)]
    produce(deployment.bootstrap_servers, deployment.input_topic, bad)
    options = {"delivery": "at-least-once", "max_offsets_per_trigger": 250}
    model = {"model": str(fussy_models / "fussy.sql"), "contract": CONTRACT_FILE}

    with pytest.raises(ModelFailingError, match=r"^model fussy/sql failed on \d+ of \d+ records"):
        score(spark, deployment, **model, **options)

    assert read_topic(deployment.bootstrap_servers, deployment.output_topic) == []
    letters = read_topic(deployment.bootstrap_servers, deployment.dead_letter_topic)
    assert len(letters) >= 200


def test_envelopes_hold_the_original_message_and_their_common_framing_is_told(
    spark: SparkSession, deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    records: list[Record] = [(b"a", b"hello"), (b"b", b"\xff\x00"), (b"c", None), (b"d", b"[]")]
    records += [(b"%d" % number, gzip.compress(b"%d" % number)) for number in range(20)]
    produce(deployment.bootstrap_servers, deployment.input_topic, records)

    score(spark, deployment, dead_letter_format="envelope")

    account = read_account(deployment, records)
    assert account.faults == {}
    letters = read_topic(deployment.bootstrap_servers, deployment.dead_letter_topic)
    groups = {json.loads(letter.value() or b"")["consumer_group"] for letter in letters}
    assert groups == {deployment.query_name}
    line = "most records become dead letters; their value looks like compressed bytes: "
    assert wait_until(lambda: any(it.startswith(line) for it in caplog.messages), 90)


def test_at_least_once_answers_every_record_too_and_says_whose_checkpoint_it_is(
    spark: SparkSession, deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    records = build_customers(2_000, bad_share=0.05)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    score(spark, deployment, delivery="at-least-once")
    assert "belongs to query" not in caplog.text
    more = build_customers(10, seed=2)
    produce(deployment.bootstrap_servers, deployment.input_topic, more)

    score(spark, deployment, delivery="at-least-once", query_name="renamed")

    assert read_account(deployment, [*records, *more]).faults == {}
    old, checkpoint = deployment.query_name, deployment.checkpoint
    assert (
        f"the checkpoint {checkpoint} belongs to query {old}: query renamed goes on where that one"
        " was (name another --checkpoint if it must not)"
    ) in caplog.text


@pytest.fixture
def four_days(deployment: Deployment) -> list[Record]:
    """Send a customer an hour for four days from the noon of 22 January 2025 on."""
    records = build_customers(96)
    noon_ms = int(datetime(2025, 1, 22, 12, tzinfo=UTC).timestamp() * 1000)
    producer = Producer({"bootstrap.servers": deployment.bootstrap_servers})
    for number, (key, value) in enumerate(records):
        time_ms = noon_ms + number * 3_600_000
        producer.produce(deployment.input_topic, value, key, timestamp=time_ms)
    assert producer.flush(30) == 0
    return records


def test_the_documented_command_scores_a_day_again_and_ends(
    spark: SparkSession, deployment: Deployment, four_days: list[Record]
) -> None:
    (command,) = (
        line
        for line in read_section("docs/reprocess.md", "Into topics of its own").splitlines()
        if line.startswith("./spark-submit.sh ")
    )
    words = shlex.split(command.replace("2026-11-2", "2025-01-2"))[2:]
    given = dict(zip(words[::2], words[1::2], strict=True))
    options = {name: given[f"--{name}-offsets"] for name in ("starting", "ending")}

    # The trigger is the default one, with which a job without an end goes on.
    view = score(
        spark,
        deployment,
        trigger="500 milliseconds",
        **{f"{name}_offsets": value for name, value in options.items()},
    )

    assert options == {"starting": "2025-01-23", "ending": "2025-01-24"}
    assert read_account(deployment, four_days[12:36]).faults == {}
    assert view.totals.predictions == 24
    # A second run has nothing to do, and ends too.
    ended = score(spark, deployment, trigger="500 milliseconds", ending_offsets="2025-01-24")
    assert ended.totals.predictions == 0
    assert read_account(deployment, four_days[12:36]).faults == {}


def test_at_least_once_begins_at_a_time_too(
    spark: SparkSession, deployment: Deployment, four_days: list[Record]
) -> None:
    score(spark, deployment, delivery="at-least-once", starting_offsets="2025-01-25T12:00:00Z")

    assert read_account(deployment, four_days[72:]).faults == {}


def test_committed_offsets_show_the_progress_and_outlive_the_checkpoint(
    spark: SparkSession, deployment: Deployment, tmp_path: Any
) -> None:
    first, second = build_customers(300, seed=1), build_customers(300, seed=2)
    produce(deployment.bootstrap_servers, deployment.input_topic, first)
    score(spark, deployment)

    group = Consumer(
        {
            "bootstrap.servers": deployment.bootstrap_servers,
            "group.id": deployment.query_name,
            "enable.auto.commit": False,
        }
    )
    asked = [TopicPartition(deployment.input_topic, partition) for partition in range(4)]
    assert sum(answer.offset for answer in group.committed(asked, timeout=60)) == 300
    group.close()

    produce(deployment.bootstrap_servers, deployment.input_topic, second)
    score(spark, replace(deployment, checkpoint=tmp_path / "fresh 'chäck' 100%41 #point"))

    assert read_account(deployment, [*first, *second]).faults == {}


def test_a_key_may_be_missing(spark: SparkSession, deployment: Deployment) -> None:
    ((_, value),) = build_customers(1)
    produce(deployment.bootstrap_servers, deployment.input_topic, [(None, value)])  # type: ignore[list-item]

    score(spark, deployment)

    (message,) = read_topic(deployment.bootstrap_servers, deployment.output_topic)
    assert message.key() is None


def test_a_clock_that_is_set_back_stops_no_stream(
    spark: SparkSession,
    deployment: Deployment,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records = build_customers(200)
    servers, name = deployment.bootstrap_servers, deployment.input_topic
    # Spark waits for the next batch by the clock, here for much longer than the test.
    settings = deployment.settings(trigger="30 minutes", restart_limit=0)
    view = RecordingView()
    produce(servers, name, records[:100])
    with StopSignal() as stop:
        stream = start_query(spark, settings, stop=stop)
        first = stream.query.runId

        def set_back() -> None:
            try:
                wait_until(lambda: bool(view.batches), 90)
                produce(servers, name, records[100:])
                now = time.time
                monkeypatch.setattr("lib.stream.watch.clock.time.time", lambda: now() - 86_400)
                wait_until(lambda: len(view.batches) == 2, 90)
            finally:
                stop.request("TEST")

        setter = threading.Thread(target=set_back)
        setter.start()
        stream.follow(view, stop)
        setter.join()

    assert stream.query.runId != first
    assert view.totals.records == 200
    assert read_account(deployment, records).faults == {}
    (line,) = [it for it in caplog.messages if "was set back" in it]
    assert line == (
        "the clock of this machine was set back by 86400 s: the query starts again, because Spark's"
        " trigger would wait for as long"
    )


def test_a_stop_request_ends_a_running_stream_after_its_batch(
    spark: SparkSession, deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    records = build_customers(1_000)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    settings = deployment.settings(trigger="0 seconds")
    view = RecordingView()
    with StopSignal() as stop:
        stream = start_query(spark, settings, stop=stop)
        while stream.query.lastProgress is None:
            time.sleep(0.1)
        # The job sees to other things of its start after the query runs, and before it follows it.
        stop.request("TEST")
        line = "TEST: stopping, waiting for the batch under way"
        assert wait_until(lambda: line in caplog.messages, 90)
        stream.follow(view, stop)

    assert not stream.query.isActive
    assert view.totals.records == 1_000
    assert read_account(deployment, records).faults == {}
