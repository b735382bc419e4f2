"""``jobs/models.py compare --from-topics`` compares what models have answered on a broker."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.models import manage_models
from lib.errors import SettingsError, SourceError
from lib.settings.jobs.models import ModelsSettings
from lib.settings.load import load_settings
from lib.synth import encode_record, iter_records
from lib.synth.telco import make_customers
from lib.tools.models.topics.answers import Answer, spell_moment
from tests.support.telco import CUSTOMER
from tests.tools.models.topics.answers import FIRST, SECOND, spell

if TYPE_CHECKING:
    from lib.tools.broker import Broker
    from tests.conftest import TopicFactory

COUNT = 400
THIRD = "churn@3/sql"
Run = Callable[..., tuple[int, list[str]]]


@dataclass(frozen=True)
class Topics:
    """The topics of a job that ran for 400 s, an hour ago; each second it scored a record."""

    records: str
    predictions: str
    shadows: str
    outcomes: str
    start: datetime


@pytest.fixture
def topics(broker: Broker, topic: TopicFactory) -> Topics:
    """Write records, predictions, shadows' answers and outcomes.

    A is the champion, or the challenger for each tenth record. B is a shadow that gives a tenth
    more, fails on records 0 to 4, and has no answer for record 10. Ten records are in an aborted
    transaction.
    """
    from confluent_kafka import Producer

    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    made = Topics(topic(2), topic(2), topic(2), topic(1), start)
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "transactional.id": made.predictions}
    )
    producer.init_transactions(30)
    customers = list(iter_records(make_customers(COUNT, 1), CUSTOMER))
    for end, count in ((producer.commit_transaction, COUNT), (producer.abort_transaction, 10)):
        producer.begin_transaction()
        for number, customer in enumerate(customers[:count]):
            _produce(producer, made, number, customer)
        assert producer.flush(30) == 0
        end(30)
    return made


def _produce(producer: object, topics: Topics, number: int, customer: dict[str, object]) -> None:
    moment = topics.start + timedelta(seconds=number)
    name, written = str(customer["customerID"]), int(moment.timestamp() * 1000) + 200
    probability = round(0.05 + number % 80 / 100, 6)
    key = name.encode()
    time = str(customer["event_ts"]) if "event_ts" in customer else spell_moment(moment)

    def put(topic: str, value: bytes, timestamp: int) -> None:
        producer.produce(topic, key=key, value=value, timestamp=timestamp)  # type: ignore[attr-defined]

    def answer(probability: float | None, model: str, error: str = "") -> bytes:
        label = None if probability is None else "Yes" if probability >= 0.5 else "No"
        record = (key, name, time)
        return spell(Answer(record, spell_moment(moment), model, probability, label, error))

    put(topics.records, encode_record(customer, CUSTOMER), int(moment.timestamp() * 1000))
    put(topics.predictions, answer(probability, THIRD if number % 10 == 9 else FIRST), written)
    if number < 5:
        put(topics.shadows, answer(None, SECOND, "ValueError"), written)
    elif number != 10:
        put(topics.shadows, answer(round(probability + 0.1, 6), SECOND), written)
    outcome = {
        "customerID": name,
        "Churn": "Yes" if number % 3 == 0 else "No",
        "outcome_ts": spell_moment(moment + timedelta(minutes=number % 50)),
    }
    if number % 2 == 0:
        put(topics.outcomes, json.dumps(outcome).encode(), written)


@pytest.fixture
def run(topics: Topics, broker: Broker, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that compares and returns the exit code and the lines."""

    def call(*arguments: str | Path) -> tuple[int, list[str]]:
        words = ["compare", "--from-topics", "--bootstrap-servers", broker.bootstrap_servers]
        words += ["--output-topic", topics.predictions, *map(str, arguments)]
        code = manage_models(load_settings(ModelsSettings, words, {}))
        return code, capsys.readouterr().out.splitlines()

    return call


def test_models_are_compared_by_their_topics(run: Run, topics: Topics, tmp_path: Path) -> None:
    with_shadow = ("--shadow-topic", topics.shadows, "--input-topic", topics.records)
    code, lines = run(
        *with_shadow,
        *("--outcomes-topic", topics.outcomes, "--segments", "Contract", "churn@1", "churn@2"),
        *("--output", f"{tmp_path}/report.json,{tmp_path}/report.md"),
    )

    # 360 records are the champion's: 5 of them failed, and one has no answer.
    assert code == 0
    text = " ".join(lines)
    for phrase in (
        "- 200 outcomes were read; 0 of them lack customerID, Churn or outcome_ts, and do not",
        "A = churn@1/onnx, B = churn@2/onnx, its shadow",
        "Paired: 354 records of 354 subjects, scored from",
        "- Same label: 309 of 354, 87.29 %, 95 % interval 83.41 % to 90.36 %.",
        "- B failed on 5 more records: ValueError 5.",
        "1 predictions of A have no answer of B,",
        "0 answers of B have no prediction of any model.",
        "189 of 354 records with an outcome",
        "158 without an outcome yet, 7 scored after their outcome, 0 with two outcomes",
    ):
        assert phrase in re.sub(" +", " ", text)
    assert "mean probability   0.4460   0.5460   +0.1000   +0.1000 to +0.1000" in lines
    assert "B - A        +0.1000  +0.1000  +0.1000  +0.1000  +0.1000  +0.1000  +0.1000" in lines
    assert "No becomes Yes           45  12.71 %" in lines
    assert [it.split()[0] for it in lines if it.startswith(("Month-to", "One y", "Two y"))] == [
        *("Month-to-month", "One", "Two")
    ]
    assert not any("were not found" in it for it in lines)
    assert lines[-2:] == [f"wrote {tmp_path}/report.json", f"wrote {tmp_path}/report.md"]
    facts = json.loads((tmp_path / "report.json").read_text())
    (found,) = facts["findings"]
    contracts = [it for it in found["segments"] if it["field"] == "Contract"]
    assert sum(it["agreement"]["rows"] for it in contracts) == 354
    assert (tmp_path / "report.md").read_text().startswith("# Comparison of models")
    with pytest.raises(SettingsError, match="exists"):
        run(*with_shadow, "--output", tmp_path / "report.md")

    # The challenger's records are compared with the same shadow.
    _, lines = run(*with_shadow)
    assert [it for it in lines if it.startswith("A = ")] == [
        "A = churn@1/onnx, B = churn@2/onnx, its shadow",
        "A = churn@3/sql, B = churn@2/onnx, its shadow",
    ]
    assert any(it.startswith("Paired: 40 records of 40 subjects") for it in lines)

    # The better of two models: each adds a tenth, which is worse by the Brier score.
    code, lines = run(
        *with_shadow, "--outcomes-topic", topics.outcomes, "--tolerance", "0.01", FIRST, SECOND
    )
    assert code == 1
    assert lines[-1].startswith("churn@2/onnx: log loss is worse by 0.")

    # The newest messages are read, and those scored in a time.
    _, lines = run(*with_shadow, "--count", "100", "churn@1", "churn@2")
    assert lines[0].startswith(f"- Topic {topics.shadows} holds more: the")
    count = next(int(it.split()[1]) for it in lines if it.startswith("Paired: "))
    assert 65 <= count <= 80
    assert any("Without a partner: 0 predictions" in it for it in lines)
    since, until = (topics.start + timedelta(seconds=it) for it in (100, 200))
    times = ("--since", spell_moment(since), "--until", spell_moment(until))
    _, lines = run(*with_shadow, *times, "churn@1", "churn@2")
    assert any(it.startswith("Paired: 90 records of 90 subjects") for it in lines)

    # Without shadows the models of one topic are compared, which is unpaired.
    code, lines = run("--outcomes-topic", topics.outcomes)
    assert code == 0
    assert "A = churn@1/onnx, B = churn@3/sql, not paired" in lines
    assert any(
        it.startswith("Unpaired: A has scored 351 records of 351 subjects, B 39") for it in lines
    )
    assert any(it.startswith("The outcomes are too few") for it in lines)

    for arguments, message in (
        (("--shadow-topic", topics.outcomes), "found no answer of a model among 200 messages"),
        (("--since", "1s"), "found no answer of a model"),
        ((*with_shadow, "churn@1", "churn@9"), "its models at that time are churn@1/onnx, churn@3"),
        (
            ("churn@1", "churn@9"),
            "found the models churn@1/onnx, churn@3/sql, expected churn@1",
        ),
    ):
        with pytest.raises(SourceError, match=message):
            run(*arguments)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("churn@1", "compare takes two models"),
        ("--data a.csv", "compare takes --from-topics or records, found both"),
        ("--outcomes a.csv --outcomes-topic t", "--outcomes or --outcomes-topic, found both"),
        ("--segments Contract", "--segments goes with --shadow-topic"),
        ("--tolerance 0.1", "--tolerance needs --outcomes or --outcomes-topic"),
        ("--since tomorrow", "expected a time in UTC"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(words: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(ModelsSettings, ["compare", "--from-topics", *words.split()], {})


def test_only_compare_reads_topics_of_a_job() -> None:
    with pytest.raises(SettingsError, match="--from-topics goes with compare only, found list"):
        load_settings(ModelsSettings, ["list", "--from-topics"], {})


def test_a_report_has_one_of_two_forms(tmp_path: Path) -> None:
    words = ["compare", "--from-topics", "--output", f"{tmp_path}/report.html"]
    with pytest.raises(SettingsError, match=r"found the suffix \.html, expected \.json or \.md"):
        manage_models(load_settings(ModelsSettings, words, {}))
