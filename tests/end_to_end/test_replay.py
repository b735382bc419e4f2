"""The replay agrees with the stream, and with predictions in this process."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from jobs.replay import replay
from lib.decode.engines.python import decode_value
from lib.errors import ModelError, ModelFailingError, ScoringError, SinkError
from lib.inference_backend import load_model, predict
from lib.messages.dead_letter import (
    HEADER_FAILED_TS,
    HEADER_MESSAGE,
    HEADER_VIOLATIONS,
    DeadLetter,
)
from lib.record.contract import Kind
from lib.record.prediction import Prediction
from lib.settings.base import DecoderChoice
from lib.settings.jobs.replay import ReplaySettings
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.spark.session import apply_runtime_settings
from tests.end_to_end.query import start_query
from tests.score.models import NUMBERS, build_customers, build_labels, fit_fussy_pipeline
from tests.support.process import run_python
from tests.support.records import ACCEPTED, BROKEN, VALID, record
from tests.support.telco import CONTRACT_FILE, CUSTOMER
from tests.support.topics import read_topic

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

    from lib.tools.broker import Broker
    from tests.conftest import TopicFactory

BACKENDS = ("spark", "sklearn")
TRACE = ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


@pytest.fixture
def settings(model_store: Path, tmp_path: Path) -> Callable[..., ReplaySettings]:
    def build(**changes: Any) -> ReplaySettings:
        chosen = {"store": model_store, "output": str(tmp_path / "out"), "backend": "sklearn"}
        return ReplaySettings.model_validate(chosen | changes)

    return build


def write_values(path: Path, *values: bytes | None) -> str:
    keys = pa.array([str(number).encode() for number in range(len(values))], pa.binary())
    pq.write_table(pa.table({"key": keys, "value": pa.array(values, pa.binary())}), path)
    return str(path)


def write_damaged(path: Path) -> str:
    """Write a file whose schema can be read, but whose rows cannot."""
    write_values(path, *[record()] * 100)
    content = path.read_bytes()
    path.write_bytes(content[:20] + bytes(100) + content[120:])
    return str(path)


def read(spark: SparkSession, folder: str | Path) -> list[Row]:
    return spark.read.parquet(str(folder)).orderBy("source_offset").collect()


def make_records(count: int, seed: int) -> list[tuple[bytes, bytes | None]]:
    """Return customers of all kinds that the contract allows, with every broken one among them."""
    source = random.Random(seed)
    broken = [value for value, _ in BROKEN.values()]
    accepted = [value for value, _ in ACCEPTED.values()]
    made = [
        record(customerID=f"customer-{number}", **make_features(source)) for number in range(count)
    ]
    values: list[bytes | None] = [*made, *broken, *accepted]
    source.shuffle(values)
    return [(f"key-{number}".encode(), value) for number, value in enumerate(values)]


def make_features(source: random.Random) -> dict[str, Any]:
    features: dict[str, Any] = {}
    for field in CUSTOMER.features:
        low, high = field.range
        if field.kind is Kind.CATEGORY:
            features[field.name] = source.choice(field.allowed)
        elif field.kind is Kind.INTEGER:
            features[field.name] = source.randint(int(low), int(high))
        else:
            number = round(source.uniform(low, high / 100), 2)
            features[field.name] = str(number) if field.numeric_text else number
    if source.random() < 0.1:
        features["TotalCharges"] = " "
    return features


def without_time(headers: Any) -> list[Any]:
    """Return a dead letter's headers without the one that says when the record failed."""
    kept = [header for header in headers if header[0] != HEADER_FAILED_TS]
    assert len(kept) == len(headers) - 1
    return kept


def without_found(value: Any, headers: Any) -> tuple[Any, ...]:
    """Return a dead letter's value, its violations without the found text, and other headers."""
    known = dict(headers)
    violations = json.loads(known.pop(HEADER_VIOLATIONS))
    assert all(violation.pop("found") for violation in violations)
    assert known.pop(HEADER_MESSAGE)
    return value, violations, known


@pytest.mark.parametrize(
    ("backend", "decoders"),
    [
        *((backend, ("auto", "auto")) for backend in BACKENDS),
        ("spark", ("python", "spark")),
        ("sql", ("spark", "python")),
    ],
)
def test_stream_and_replay_say_the_same_of_every_record(
    backend: str,
    decoders: tuple[DecoderChoice, DecoderChoice],
    spark: SparkSession,
    broker: Broker,
    topic: TopicFactory,
    model_store: Path,
    checkpoint: Path,
    tmp_path: Path,
) -> None:
    apply_runtime_settings(spark)
    source, predictions, dead_letters = topic(2), topic(), topic()
    produce(broker, source, make_records(500, seed=7))
    stream_settings = ScoreStreamSettings(
        bootstrap_servers=broker.bootstrap_servers,
        input_topic=source,
        output_topic=predictions,
        dead_letter_topic=dead_letters,
        query_name=source,
        store=model_store,
        backend=backend,
        decoder=decoders[0],
        trigger="available-now",
        checkpoint=str(checkpoint),
    )
    stream = start_query(spark, stream_settings)
    assert stream.query.awaitTermination(120)
    assert stream.sink is not None
    stream.sink.close()
    dump(spark, broker, source, tmp_path / "dump")
    replay_settings = ReplaySettings(
        store=model_store,
        backend=backend,
        decoder=decoders[1],
        input=[str(tmp_path / "dump")],
        output=str(tmp_path / "out"),
    )
    assert replay(replay_settings) == 0

    for message in read_topic(broker.bootstrap_servers, predictions):
        assert message.headers() == [TRACE]
    streamed = {
        message.key() or b"": Prediction.from_value(message.value() or b"", CUSTOMER)
        for message in read_topic(broker.bootstrap_servers, predictions)
    }
    replayed = {bytes(row.key): row for row in read(spark, tmp_path / "out" / "predictions")}
    assert len(streamed) == 500 + len(ACCEPTED)
    assert replayed.keys() == streamed.keys()
    for key, prediction in streamed.items():
        row = replayed[key]
        assert row.churn_probability == prediction.probability
        assert headers_of(row) == [TRACE]
        assert (row.customerID, row.prediction, row.event_ts, row.model_version) == (
            prediction.identifier,
            prediction.label,
            prediction.event_time,
            prediction.model,
        )

    streamed_letters = {
        message.key(): (message.value(), without_time(message.headers()))
        for message in read_topic(broker.bootstrap_servers, dead_letters)
    }
    replayed_letters = {
        bytes(row.key): (row.value and bytes(row.value), without_time(headers_of(row)))
        for row in read(spark, tmp_path / "out" / "dead_letters")
    }
    assert len(streamed_letters) == len(BROKEN)
    if len(set(decoders)) == 1:
        assert replayed_letters == streamed_letters
    # The two may write what they found in different ways, like 1e3 and 1000.0.
    assert {key: without_found(*letter) for key, letter in replayed_letters.items()} == {
        key: without_found(*letter) for key, letter in streamed_letters.items()
    }


@pytest.mark.parametrize("backend", BACKENDS)
def test_replay_and_prediction_in_process_agree_to_the_sixth_decimal(
    backend: str,
    spark: SparkSession,
    model_store: Path,
    settings: Callable[..., ReplaySettings],
    tmp_path: Path,
) -> None:
    source = random.Random(3)
    customers = [
        {"customerID": f"customer-{number}", **make_features(source)} for number in range(200)
    ]
    table = pa.table(pd.DataFrame(customers))
    pq.write_table(table, tmp_path / "customers.parquet")
    assert replay(settings(input=[str(tmp_path / "customers.parquet")], backend=backend)) == 0
    model = load_model(backend, f"{model_store}/churn@champion", spark_session=spark)
    features = [
        dict(decode_value(json.dumps(customer).encode(), CUSTOMER).features)
        for customer in customers
    ]
    _, probabilities = predict(model, features)
    rows = read(spark, tmp_path / "out" / "predictions")
    assert [row.customerID for row in rows] == [customer["customerID"] for customer in customers]
    assert [row.churn_probability for row in rows] == pytest.approx(probabilities, abs=5.01e-7)


def test_a_model_in_two_files_is_scored_like_in_process_and_no_other_takes_a_preprocessor(
    spark: SparkSession, settings: Callable[..., ReplaySettings], tmp_path: Path
) -> None:
    customers = build_customers(50, seed=3)
    scaler = StandardScaler().fit(customers[NUMBERS])
    model = LogisticRegression().fit(scaler.transform(customers[NUMBERS]), build_labels(customers))
    folder = tmp_path / "zwei Dateien mit Umläuten"
    folder.mkdir()
    joblib.dump(scaler, folder / "scaler.joblib")
    joblib.dump(model, folder / "model.joblib")
    two = {
        "model": str(folder / "model.joblib"),
        "preprocessor": folder / "scaler.joblib",
        "contract": CONTRACT_FILE,
        "backend": "auto",
    }
    records = customers.assign(customerID=[f"customer-{number}" for number in range(50)])
    pq.write_table(pa.table(records), tmp_path / "customers.parquet")
    given = {"input": [str(tmp_path / "customers.parquet")]}

    assert replay(settings(**given, **two)) == 0

    loaded = load_model("sklearn", folder / "model.joblib", folder / "scaler.joblib")
    rows = read(spark, tmp_path / "out" / "predictions")
    assert [row.churn_probability for row in rows] == pytest.approx(
        predict(loaded, customers)[1], abs=5.01e-7
    )
    assert {row.model_version for row in rows} == {"model/sklearn"}
    for changes, words in (
        (
            {"preprocessor": folder / "none.joblib"},
            f"Preprocessor file not found: {folder}/none.joblib (check the path, or train a"
            " version with jobs/train.py)",
        ),
        (
            {"model": "churn@champion", "contract": None},
            "--preprocessor: found the stored version churn@1, expected a model outside a store"
            " (leave it out: a version has all its steps in one file)",
        ),
        (
            {"backend": "sql"},
            "--preprocessor: found --backend sql, expected sklearn (leave it out, or name the"
            " joblib file of the classifier with --model)",
        ),
    ):
        with pytest.raises(ScoringError) as caught:
            replay(settings(**given, overwrite=True, **{**two, **changes}))
        assert str(caught.value) == words


# This script saves a model of a class of its own, by cloudpickle and by joblib.
SAVED_BY_A_SCRIPT = """
import sys, cloudpickle, joblib, numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

class Own(ClassifierMixin, BaseEstimator):
    classes_ = np.array([0, 1])
    def fit(self, features, labels=None):
        return self
    def predict_proba(self, features):
        return np.column_stack([1 - features[:, 0], features[:, 0]])
    def __sklearn_is_fitted__(self):
        return True

model = make_pipeline(
    FunctionTransformer(lambda rows: rows[["MonthlyCharges"]].to_numpy() / 1000), Own()
)
with open(sys.argv[1] + "/by cloudpickle.joblib", "wb") as file:
    cloudpickle.dump(model, file)
joblib.dump(Own(), sys.argv[1] + "/plain.joblib")
"""


def test_a_model_saved_by_cloudpickle_is_scored_and_a_class_that_is_gone_is_one_line(
    spark: SparkSession, settings: Callable[..., ReplaySettings], tmp_path: Path
) -> None:
    folder = tmp_path / "Modelle für März"
    folder.mkdir()
    assert run_python("-c", SAVED_BY_A_SCRIPT, str(folder)).returncode == 0
    path = write_values(tmp_path / "in.parquet", record(MonthlyCharges=250))
    lone = {"contract": CONTRACT_FILE, "input": [path]}

    assert replay(settings(model=str(folder / "by cloudpickle.joblib"), **lone)) == 0

    (row,) = read(spark, tmp_path / "out" / "predictions")
    assert (row.churn_probability, row.model_version) == (0.25, "by cloudpickle/sklearn")
    with pytest.raises(ModelError) as caught:
        replay(settings(model=str(folder / "plain.joblib"), overwrite=True, **lone))
    line = (
        f"{folder}/plain.joblib: cannot be unpickled: AttributeError: Can't get attribute 'Own' on "
    )
    assert str(caught.value).startswith(line)
    assert str(caught.value).endswith(" must lie in a module that can be imported)")


def test_predictions_are_typed_and_say_where_they_come_from(
    spark: SparkSession, settings: Callable[..., ReplaySettings], tmp_path: Path
) -> None:
    path = write_values(tmp_path / "in.parquet", record(event_ts="2024-05-01"))
    assert replay(settings(input=[path])) == 0
    frame = spark.read.parquet(str(tmp_path / "out" / "predictions"))
    assert frame.dtypes == [
        ("customerID", "string"),
        ("churn_probability", "double"),
        ("prediction", "string"),
        ("event_ts", "string"),
        ("processed_ts", "string"),
        ("model_version", "string"),
        ("key", "binary"),
        ("headers", "array<struct<key:string,value:binary>>"),
        ("source_topic", "string"),
        ("source_partition", "int"),
        ("source_offset", "bigint"),
    ]
    (row,) = frame.collect()
    assert (row.customerID, row.event_ts) == ("7590-VHVEG", "2024-05-01")
    assert row.churn_probability == round(row.churn_probability, 6)
    assert row.model_version == "churn@1/sklearn"
    assert (row.source_topic, row.source_partition, row.source_offset) == (f"file:{path}", -1, 0)


def test_dead_letters_keep_their_bytes_and_list_their_violations(
    spark: SparkSession, settings: Callable[..., ReplaySettings], tmp_path: Path
) -> None:
    broken = record(gender="X", tenure=-1)
    path = write_values(tmp_path / "in.parquet", record(), broken, b"\xff\xfe", None)
    assert replay(settings(input=[path])) == 0
    rows = read(spark, tmp_path / "out" / "dead_letters")
    assert [row.value and bytes(row.value) for row in rows] == [broken, b"\xff\xfe", None]
    assert [row.error_type for row in rows] == [
        "validation_error",
        "processing_error",
        "processing_error",
    ]
    assert [(v.field, v.rule) for v in rows[0].violations] == [
        ("gender", "not_allowed"),
        ("tenure", "out_of_range"),
    ]
    letter = DeadLetter.from_message(bytes(rows[0].key), bytes(rows[0].value), headers_of(rows[0]))
    assert (letter.source_topic, letter.source_partition, letter.source_offset) == (
        f"file:{path}",
        -1,
        1,
    )


def test_envelopes_are_written_on_request(
    spark: SparkSession, settings: Callable[..., ReplaySettings], tmp_path: Path
) -> None:
    path = write_values(tmp_path / "in.parquet", b"hello")
    assert replay(settings(input=[path], dead_letter_format="envelope")) == 0
    (row,) = read(spark, tmp_path / "out" / "dead_letters")
    assert row.headers is None
    assert (row.error_type, row.violations[0].rule) == ("processing_error", "not_json")
    assert DeadLetter.from_message(row.key, bytes(row.value), None).value == b"hello"


def test_dead_letters_of_a_replay_can_be_replayed(
    spark: SparkSession, settings: Callable[..., ReplaySettings], tmp_path: Path
) -> None:
    path = write_values(tmp_path / "in.parquet", b"hello", record())
    assert replay(settings(input=[path])) == 0
    again = str(tmp_path / "again")
    assert replay(settings(input=[str(tmp_path / "out" / "dead_letters")], output=again)) == 0
    (row,) = read(spark, Path(again, "dead_letters"))
    assert bytes(row.value) == b"hello"


def test_both_folders_are_written_even_if_one_is_empty(
    spark: SparkSession,
    settings: Callable[..., ReplaySettings],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_values(tmp_path / "in.parquet", record(), record())
    assert replay(settings(input=[path])) == 0
    assert read(spark, tmp_path / "out" / "dead_letters") == []
    assert "2 predictions, 0 dead letters" in capsys.readouterr().out


def test_a_model_that_fails_on_nearly_all_records_ends_the_replay_and_on_some_is_told(
    spark: SparkSession,
    settings: Callable[..., ReplaySettings],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    joblib.dump(fit_fussy_pipeline(), tmp_path / "fussy.joblib")
    lone = {"model": str(tmp_path / "fussy.joblib"), "contract": CONTRACT_FILE}
    path = write_values(tmp_path / "in.parquet", *[record(tenure=37)] * 250)

    with pytest.raises(ModelFailingError, match=r"^model fussy/sklearn failed on 200 of 200 reco"):
        replay(settings(input=[path], **lone))

    sql = tmp_path / "fussy.sql"
    sql.write_text("CASE WHEN tenure = 37 THEN NULL ELSE 0.25D END")
    with pytest.raises(ModelFailingError, match=r"^model fussy/sql failed on 250 of 250 records"):
        replay(
            settings(input=[path], overwrite=True, **lone | {"model": str(sql), "backend": "sql"})
        )
    assert not (tmp_path / "out" / "predictions").exists()

    path = write_values(tmp_path / "other.parquet", record(), record(tenure=37))
    assert replay(settings(input=[path], overwrite=True, **lone)) == 0
    (row,) = read(spark, tmp_path / "out" / "dead_letters")
    reason = "ValueError: Found unknown categories [np.int64(…)] in column … during transform"
    assert row.error_message == (
        f"the model gave no probability between 0 and 1 for a valid record: {reason}"
    )
    assert caplog.messages[-1] == (
        f"model fussy/sklearn failed on 1 rows, which became dead letters: {reason} (1)"
    )


def test_output_that_is_not_empty_is_refused_and_kept(
    settings: Callable[..., ReplaySettings], tmp_path: Path, spark: SparkSession
) -> None:
    path = write_values(tmp_path / "in.parquet", record())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("data")
    with pytest.raises(SinkError, match=r"is not empty .*--overwrite"):
        replay(settings(input=[path]))
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["precious"]


def test_overwrite_replaces_what_an_earlier_replay_wrote(
    spark: SparkSession, settings: Callable[..., ReplaySettings], tmp_path: Path
) -> None:
    for count in (3, 1):
        path = write_values(tmp_path / f"{count}.parquet", *[record()] * count)
        assert replay(settings(input=[path], overwrite=True)) == 0
        assert len(read(spark, tmp_path / "out" / "predictions")) == count


def test_a_replay_that_failed_is_not_taken_for_the_one_before_it(
    settings: Callable[..., ReplaySettings], tmp_path: Path, spark: SparkSession
) -> None:
    whole = write_values(tmp_path / "whole.parquet", record())
    assert replay(settings(input=[whole])) == 0
    done = tmp_path / "out" / "predictions" / "_SUCCESS"
    assert done.exists()
    damaged = write_damaged(tmp_path / "damaged.parquet")

    with pytest.raises(SinkError, match="failed"):
        replay(settings(input=[damaged], overwrite=True))
    assert not done.exists()


def test_overwrite_never_destroys_its_own_input(
    spark: SparkSession, settings: Callable[..., ReplaySettings], tmp_path: Path
) -> None:
    output = str(tmp_path / "with space")
    path = write_values(tmp_path / "in.parquet", b"hello")
    assert replay(settings(input=[path], output=output)) == 0
    letters = f"{output}/dead_letters"
    with pytest.raises(SinkError, match="would overwrite dead_letters, which --input reads"):
        replay(settings(input=[letters], output=output, overwrite=True))
    assert len(read(spark, letters)) == 1


def test_a_damaged_file_is_one_clear_error(
    settings: Callable[..., ReplaySettings], tmp_path: Path, spark: SparkSession
) -> None:
    damaged = write_damaged(tmp_path / "in.parquet")

    with pytest.raises(SinkError, match=r"reading, scoring or writing .* failed: "):
        replay(settings(input=[damaged]))


def test_a_table_is_scored_like_the_messages_of_a_topic(
    spark: SparkSession, settings: Callable[..., ReplaySettings], tmp_path: Path
) -> None:
    rows = [VALID, VALID | {"gender": None}, VALID | {"tenure": 121}]
    pq.write_table(
        pa.table({name: [row[name] for row in rows] for name in VALID}), tmp_path / "t.parquet"
    )
    assert replay(settings(input=[str(tmp_path / "t.parquet")])) == 0
    assert len(read(spark, tmp_path / "out" / "predictions")) == 1
    letters = read(spark, tmp_path / "out" / "dead_letters")
    assert [(v.field, v.rule) for row in letters for v in row.violations] == [
        ("gender", "missing"),
        ("tenure", "out_of_range"),
    ]
    assert decode_value(bytes(letters[1].value), CUSTOMER).violations[0].found == "121"


def test_values_of_a_table_that_are_often_misread_are_answered_as_by_predict(
    spark: SparkSession, settings: Callable[..., ReplaySettings], tmp_path: Path
) -> None:
    changes: list[tuple[str, Any, str]] = [
        *(("tenure", 1.0, "scored"), ("tenure", 0.0, "scored"), ("tenure", -0.0, "scored")),
        *(("tenure", 12.5, "tenure wrong_type"), ("tenure", None, "tenure missing")),
        *(("tenure", float("nan"), "tenure wrong_type"),),
        *(("tenure", float("inf"), "tenure wrong_type"),),
        *(("TotalCharges", "12", "scored"), ("TotalCharges", " ", "scored")),
        *(("TotalCharges", "１２", "TotalCharges wrong_type"),),
        *(("TotalCharges", "١٢", "TotalCharges wrong_type"),),
        *(("TotalCharges", "1e400", "TotalCharges out_of_range"),),
        *(("TotalCharges", "NaN", "TotalCharges wrong_type"),),
        *(("TotalCharges", None, "TotalCharges missing"), ("Contract", None, "Contract missing")),
    ]
    rows = [VALID | {"TotalCharges": "29.85", name: value} for name, value, _ in changes]
    table = pa.table({name: [row[name] for row in rows] for name in VALID})
    pq.write_table(table, tmp_path / "t.parquet")

    assert replay(settings(input=[str(tmp_path / "t.parquet")])) == 0

    answers = dict.fromkeys(range(len(rows)), "none")
    for row in read(spark, tmp_path / "out" / "dead_letters"):
        assert row.error_type == "validation_error"
        (violation,) = row.violations
        answers[row.source_offset] = f"{violation.field} {violation.rule}"
    predictions = read(spark, tmp_path / "out" / "predictions")
    answers |= {row.source_offset: "scored" for row in predictions}
    assert list(answers.values()) == [answer for _, _, answer in changes]
    found = {row.source_offset: row.churn_probability for row in predictions}
    assert found[1] == found[2]


def produce(broker: Broker, topic: str, records: list[tuple[bytes, bytes | None]]) -> None:
    """Write records with headers of the sender's own, which dead letters have to keep."""
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for key, value in records:
        producer.produce(topic, value, key, headers=[("trace", b"1"), TRACE])
    assert producer.flush(30) == 0


def dump(spark: SparkSession, broker: Broker, topic: str, path: Path) -> None:
    reader = spark.read.format("kafka").option("includeHeaders", "true")
    options = {"kafka.bootstrap.servers": broker.bootstrap_servers, "subscribe": topic}
    reader.options(**options).load().write.parquet(str(path))


def headers_of(row: Row) -> list[tuple[str, bytes | None]]:
    return [(header.key, header.value and bytes(header.value)) for header in row.headers]
