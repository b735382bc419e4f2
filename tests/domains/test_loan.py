"""A second domain works end to end with one TOML file, one CSV file and no change to the code."""

from __future__ import annotations

import json
import math
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.replay import replay
from lib.decode.engines.python import decode_value
from lib.inference_backend import load_model, predict
from lib.kafka.topics import create_topics
from lib.messages.dead_letter import DeadLetter
from lib.record.contract_file import read_contract
from lib.record.types import is_float
from lib.score.features import build_typed_features
from lib.settings.jobs.replay import ReplaySettings
from lib.setup.places import PROJECT_ROOT
from lib.store import ModelStore, read_version_contract
from lib.synth import draw_records, encode_record
from lib.tools.broker import Broker
from tests.conftest import TopicFactory
from tests.end_to_end.jobs import run_job
from tests.record.random_contracts import draw_values
from tests.support.name_server import NameServer, list_foreign
from tests.support.process import run_python
from tests.support.topics import produce, read_headers, read_topic

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FOLDER = Path(__file__).parent
CONTRACT, DATA = FOLDER / "loan.toml", FOLDER / "loans.csv"
LOAN = read_contract(CONTRACT)
BACKENDS = ("onnx", "sql", "spark", "sklearn")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, name_server: NameServer) -> Path:
    """Provide a store with a version that the job has trained."""
    store = tmp_path_factory.mktemp("store")
    arguments = ("--contract", str(CONTRACT), "--data", str(DATA), "--store", str(store))
    job = str(PROJECT_ROOT / "jobs" / "train.py")
    done = run_python(job, *arguments, launcher=name_server.launcher)
    assert done.returncode == 0, done.stderr
    assert list_foreign(name_server.names) == set()
    assert "champion     loan-default@1" in done.stdout
    return store


@pytest.mark.spark
def test_a_version_has_every_engine_and_carries_its_contract(store: Path) -> None:
    version = ModelStore(store).resolve("loan-default@champion")

    assert read_version_contract(version) == LOAN
    artefacts = {name.split("/")[0] for name in version.metadata.artefacts}
    assert artefacts == {
        *("contract.toml", "pipeline.joblib", "pipeline.onnx", "probability.sql", "spark_model"),
        *("effects.json", "profile.json", "report.html", "report.md"),
    }
    compiled = version.metadata.training["compiled"]
    assert all(facts["largest_difference"] <= 1e-6 for facts in compiled.values())


def score(backend: Any, features: list[dict[str, Any]]) -> tuple[list[str], list[float]]:
    # The features of a decoded record are those that a model gets, which only a frame may hold.
    labels, probabilities = predict(backend, build_typed_features(features, LOAN))
    return list(labels), list(probabilities)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_thousand_valid_and_a_thousand_broken_records_are_answered_by_every_engine(
    spark: SparkSession, broker: Broker, topic: TopicFactory, store: Path, tmp_path: Path, name: str
) -> None:
    from lib.score.choice import load_backend
    from lib.settings.jobs.score_stream import ScoreStreamSettings
    from lib.settings.load import load_settings
    from lib.stream.route import choose_route
    from lib.stream.start import start_stream

    valid = [encode_record(it, LOAN) for it in islice(draw_records(LOAN, 3), 1_000)]
    broken = [it for it in draw_values(LOAN, 2_500, 3) if not decode_value(it, LOAN).is_valid]
    values = [*valid, *broken[:1_000]]
    keys = [b"%d" % number for number in range(len(values))]
    source, predictions, letters = topic(2), topic(1), topic(1)
    produce(broker.bootstrap_servers, source, zip(keys, values, strict=True))
    options = {
        "bootstrap-servers": broker.bootstrap_servers,
        "input-topic": source,
        "output-topic": predictions,
        "dead-letter-topic": letters,
        "query-name": f"loans-{name}-{source}",
        "checkpoint": str(tmp_path / "checkpoint"),
        "store": str(store),
        "backend": name,
        "trigger": "available-now",
    }
    flags = [part for key, value in options.items() for part in (f"--{key}", value)]
    settings = load_settings(ScoreStreamSettings, flags)

    scorer = load_backend(spark, settings)
    route = choose_route(spark, settings, scorer)
    stream = start_stream(spark, settings, scorer, LOAN, route)
    stream.query.awaitTermination(120)
    assert stream.sink is not None
    assert stream.sink.failure is None
    stream.sink.close()

    decoded = dict(zip(keys, (decode_value(value, LOAN) for value in values), strict=True))
    answers = {it.key(): it for it in read_topic(broker.bootstrap_servers, predictions)}
    assert answers.keys() == {key for key, it in decoded.items() if it.is_valid}
    _, expected = score(
        load_model(name, store / "loan-default" / "1", spark_session=spark),
        [_as_features(decoded[key or b""].features) for key in answers],
    )
    for (key, message), probability in zip(answers.items(), expected, strict=True):
        fields = json.loads(message.value() or b"")
        assert list(fields) == [
            *("application_id", "default_probability", "expected_outcome", "applied_at"),
            *("processed_ts", "model_version"),
        ]
        assert fields["application_id"] == decoded[key or b""].identifier
        assert fields["default_probability"] == pytest.approx(probability, abs=1.5e-6)
        assert fields["expected_outcome"] in ("repaid", "defaulted")
        assert fields["model_version"] == f"loan-default@1/{name}"
    refused = read_topic(broker.bootstrap_servers, letters)
    assert len(refused) == 1_000
    for message in refused:
        letter = DeadLetter.from_message(message.key(), message.value(), read_headers(message))
        key = message.key() or b""
        assert letter.value == values[int(key)]
        found = [(it.field, it.rule) for it in letter.violations]
        assert found == [(it.field, it.rule) for it in decoded[key].violations]


def _as_features(features: Any) -> dict[str, Any]:
    """Return a record as the model gets it: NaN where a number is missing."""
    return {
        spec.name: math.nan
        if features[spec.name] is None and is_float(spec)
        else features[spec.name]
        for spec in LOAN.features
    }


def test_a_table_is_replayed_under_its_own_names(
    spark: SparkSession, store: Path, tmp_path: Path
) -> None:
    table = spark.read.csv(str(DATA), header=True, inferSchema=True)
    table.write.parquet(str(tmp_path / "loans"))

    done = replay(
        ReplaySettings(store=store, input=[str(tmp_path / "loans")], output=str(tmp_path / "out"))
    )

    assert done == 0
    scored = spark.read.parquet(str(tmp_path / "out" / "predictions"))
    assert scored.columns[:6] == [
        *("application_id", "default_probability", "expected_outcome", "applied_at"),
        *("processed_ts", "model_version"),
    ]
    assert scored.count() == 1_200
    assert scored.where("default_probability is null").count() == 0
    assert spark.read.parquet(str(tmp_path / "out" / "dead_letters")).count() == 0


def test_jobs_take_the_domains_own_names(broker: Broker, store: Path, tmp_path: Path) -> None:
    """The jobs run as processes, as a team of that domain would start them."""
    servers = ("--bootstrap-servers", broker.bootstrap_servers)
    contract = ("--contract", str(CONTRACT))
    create_topics(broker.cluster, {"loan-default.predictions": 1})
    create_topics(
        *(broker.cluster, {"loan-default.dead-letters": 1}),
        {"max.message.bytes": "2097152"},
    )

    sent = run_python(
        *(str(PROJECT_ROOT / "jobs" / "produce.py"), *servers, *contract, "--source", str(DATA)),
        *("--create-topic", "--bad-share", "0.1"),
    )
    assert sent.returncode == 0, sent.stderr
    assert "1,200 records delivered to loan-default.records" in sent.stdout
    scored = run_job(
        [
            *(*servers, "--store", str(store), "--checkpoint", str(tmp_path / "checkpoint")),
            *("--trigger", "available-now"),
        ]
    )
    assert scored.returncode == 0, scored.stderr
    read = run_python(str(PROJECT_ROOT / "jobs" / "consume.py"), *servers, *contract)
    answers = [json.loads(line) for line in read.stdout.splitlines()]
    assert len(answers) == 1_080
    assert {line["model_version"] for line in answers} == {"loan-default@1/onnx"}
    known = {f"LN-{number}" for number in range(100_000, 101_200)}
    assert {line["application_id"] for line in answers} < known
    again = run_python(
        str(PROJECT_ROOT / "jobs" / "resend.py"), *servers, *contract, "--from-beginning"
    )
    assert again.returncode == 0, again.stderr
    assert "120 sent again to loan-default.records" in again.stdout.splitlines()
