"""Predictions and outcomes of a real broker are joined, in parts and as a whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from pyspark.sql import SparkSession

from lib.errors import EvaluationError
from lib.evaluation.definition import Definition
from lib.evaluation.generations import Generations
from lib.evaluation.planning import Side, Task
from lib.evaluation.run import evaluate
from lib.kafka.admin import build_admin
from lib.kafka.cluster import Cluster
from lib.kafka.topics import create_topics, remove_topics
from lib.setup.places import PROJECT_ROOT
from lib.tools.broker import Broker
from tests.conftest import TopicFactory
from tests.support.telco import CUSTOMER
from tests.support.topics import produce

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)


def predict(identifier: str, day: str, probability: float = 0.5) -> tuple[bytes, bytes]:
    """Write a prediction of version churn@1 that was made at noon of a day of 2026."""
    fields = {
        "customerID": identifier,
        "churn_probability": probability,
        "prediction": "Yes" if probability >= 0.5 else "No",
        "event_ts": f"2026-{day}T11:00:00Z",
        "processed_ts": f"2026-{day}T12:00:00.000Z",
        "model_version": "churn@1/onnx",
    }
    return identifier.encode(), json.dumps(fields).encode()


def tell(identifier: str, label: str, day: str, **more: Any) -> tuple[bytes, bytes]:
    """Write an outcome of a day of 2026."""
    fields = {"customerID": identifier, "Churn": label, "outcome_ts": f"2026-{day}T15:00:00Z"}
    return identifier.encode(), json.dumps(fields | more).encode()


PREDICTIONS = (
    [
        predict("labelled", "01-05", 0.9),
        predict("twice", "01-05", 0.2),
        predict("silent", "01-06", 0.3),
        predict("before", "03-01", 0.7),
    ],
    [
        predict("twice", "02-10", 0.6),
        predict("contradicted", "02-10", 0.4),
        predict("corrected", "02-10", 0.4),
        predict("late", "01-05", 0.8),
        (b"noise", b"no JSON"),
        (b"noise", b'{"customerID":"x","churn_probability":2}'),
    ],
)
OUTCOMES: tuple[list[tuple[bytes, bytes | None]], ...] = (
    [
        tell("labelled", "Yes", "01-20"),
        tell("labelled", "Yes", "01-20"),
        tell("twice", "No", "02-01"),
        tell("before", "No", "02-01"),
        tell("stranger", "No", "02-01"),
        tell("corrected", "No", "03-01"),
    ],
    [
        tell("twice", "Yes", "03-10"),
        tell("contradicted", "Yes", "03-01"),
        tell("contradicted", "No", "03-01"),
        tell("corrected", "Yes", "03-02"),
        tell("late", "Yes", "05-20"),
        (b"noise", None),
        (b"noise", b"{"),
        (b"noise", b'["x"]'),
        tell("labelled", "Maybe", "01-21"),
        tell("", "Yes", "01-21"),
        (b"noise", b'{"customerID":"late","Churn":"No","outcome_ts":"12:00"}'),
    ],
)
# identifier, predicted on, status, outcome, outcome on, late
TABLE = [
    ("before", "03-01", "known_before", None, None, False),
    ("contradicted", "02-10", "contradicted", None, None, False),
    ("corrected", "02-10", "labelled", "Yes", "03-02", False),
    ("labelled", "01-05", "labelled", "Yes", "01-20", False),
    ("late", "01-05", "labelled", "Yes", "05-20", True),
    ("silent", "01-06", "unlabelled", None, None, False),
    ("twice", "01-05", "labelled", "Yes", "03-10", False),
    ("twice", "02-10", "labelled", "Yes", "03-10", False),
]
#: Everything but the time in which it was read.
TOLD = ("outcomes", "refused", "all", "complete", "versions", "weeks", "ages", "recent")


@pytest.fixture
def task(broker: Broker, topic: TopicFactory, tmp_path: Path) -> Task:
    return Task(
        output=tmp_path / "out",
        predictions=Side("--prediction-files", topic(2)),
        outcomes=Side("--outcome-files", topic(2)),
        cluster=broker.cluster,
        contract=CUSTOMER,
        time_name="outcome_ts",
        store=tmp_path / "models",
        definition=Definition(as_of=AS_OF),
    )


def send(task: Task, part: int) -> None:
    """Send one part of the predictions and outcomes."""
    servers = task.cluster.bootstrap_servers
    produce(servers, task.predictions.topic, PREDICTIONS[part])
    produce(servers, task.outcomes.topic, OUTCOMES[part])


def read_table(spark: SparkSession, task: Task) -> list[tuple[Any, ...]]:
    """Read the current table, in the form of :data:`TABLE`."""
    rows = spark.read.parquet(str(task.output / "current" / "table")).collect()

    def day(time: datetime | None) -> str | None:
        return None if time is None else f"{time:%m-%d}"

    return sorted(
        (
            it["identifier"],
            day(it["predicted_time"]),
            it["status"],
            it["outcome"],
            day(it["outcome_time"]),
            it["is_late"],
        )
        for it in rows
    )


def read_report(task: Task) -> dict[str, Any]:
    """Read what the current report tells of all runs."""
    report = json.loads((task.output / "current" / "report.json").read_text())
    return {name: report[name] for name in TOLD}


class KilledError(BaseException):
    """A run ends here, as if its process were killed."""


def kill_at(step: str) -> Any:
    """Return a function for ``on_step`` that ends the run at a step."""

    def on_step(found: str) -> None:
        if found == step:
            raise KilledError(step)

    return on_step


# Processes that are killed at the other steps: tests/evaluation/test_generations.py.
STEPS = ("planned", "folder made", "outcomes written", "table written", "report written")


@pytest.mark.timeout(600)
def test_parts_that_are_killed_at_each_step_give_what_one_run_gives(
    spark: SparkSession, task: Task, tmp_path: Path
) -> None:
    send(task, 0)
    evaluate(spark, task)
    assert read_report(task)["all"]["statuses"] == {
        "labelled": 2,
        "unlabelled": 1,
        "after_horizon": 0,
        "known_before": 1,
        "contradicted": 0,
    }
    # An aborted transaction, and one that is still open, tell nothing.
    aborted = Producer(
        {"bootstrap.servers": task.cluster.bootstrap_servers, "transactional.id": str(tmp_path)}
    )
    aborted.init_transactions()
    aborted.begin_transaction()
    aborted.produce(task.outcomes.topic, tell("silent", "Yes", "03-01")[1])
    aborted.flush()
    aborted.abort_transaction()
    send(task, 1)

    for step in STEPS:
        with pytest.raises(KilledError):
            evaluate(spark, task, kill_at(step))
        assert len(read_table(spark, task)) == 4  # the result of the first run
    with pytest.raises(KilledError):
        evaluate(spark, task, kill_at("published"))
    assert read_table(spark, task) == TABLE
    current = json.loads((task.output / "current" / "report.json").read_text())
    assert current["reading"] == {
        "predictions": 4,
        "outcomes": 5,
        "updated": 0,
        "changed": 1,
        "gone": 0,
    }

    evaluate(spark, task)  # nothing is new
    whole = replace(task, output=tmp_path / "whole")
    evaluate(spark, whole)

    assert read_table(spark, task) == read_table(spark, whole) == TABLE
    assert read_report(task) == read_report(whole)
    assert read_report(task)["outcomes"] == {
        "messages": 11,
        "distinct": 10,
        "contradicting": 3,
        "unknown": 1,
        "too_old": 1,
        "doubles": 1,
    }
    assert read_report(task)["refused"] == {
        "prediction": {"no_json": 1, "no_probability": 1},
        "outcome": {
            "no_value": 1,
            "no_json": 2,
            "no_label": 1,
            "no_identifier": 1,
            "no_time": 1,
        },
    }
    refused = spark.read.parquet(str(task.output / "current" / "refused")).collect()
    assert {(it["side"], it["source"]) for it in refused} == {
        ("prediction", task.predictions.topic),
        ("outcome", task.outcomes.topic),
    }
    assert len({(it["side"], it["partition"], it["offset"]) for it in refused}) == 8
    assert sorted(it.name for it in task.output.iterdir()) == ["current", "generations", "lock"]
    # The current one, and the one before it for those who read it.
    assert len(list((task.output / "generations").iterdir())) == 2


def test_a_horizon_ends_what_counts_and_the_event_may_be_the_time_of_a_prediction(
    spark: SparkSession, task: Task
) -> None:
    servers = task.cluster.bootstrap_servers
    produce(servers, task.predictions.topic, [predict("twice", "01-05"), predict("same", "01-05")])
    produce(
        servers,
        task.outcomes.topic,
        [
            tell("twice", "No", "02-01"),
            tell("twice", "Yes", "03-10"),
            tell("same", "Yes", "01-05", outcome_ts="2026-01-05T12:30:00+01:00"),
        ],
    )

    evaluate(spark, replace(task, definition=Definition(AS_OF, horizon_days=30)))
    assert read_table(spark, task) == [
        ("same", "01-05", "known_before", None, None, False),
        ("twice", "01-05", "labelled", "No", "02-01", False),
    ]
    evaluate(spark, replace(task, definition=Definition(AS_OF, True, horizon_days=26)))
    assert read_table(spark, task) == [
        ("same", "01-05", "labelled", "Yes", "01-05", False),
        ("twice", "01-05", "after_horizon", None, None, False),
    ]


def test_what_is_gone_or_belongs_to_others_is_refused_with_a_way_out(
    spark: SparkSession, task: Task
) -> None:
    send(task, 0)
    evaluate(spark, task)
    before = read_table(spark, task)
    admin = build_admin(task.cluster)

    with (
        Generations(task.output).locked(),
        pytest.raises(EvaluationError, match="another evaluation writes there now"),
    ):
        evaluate(spark, task)
    with pytest.raises(EvaluationError, match="found 'when' as the time, expected 'outcome_ts'"):
        evaluate(spark, replace(task, time_name="when"))
    files = task.store / "outcomes"
    files.mkdir(parents=True)
    (files / "part").write_bytes(b"")
    other = replace(task, outcomes=Side("--outcome-files", "", [str(files)]))
    with pytest.raises(EvaluationError, match="expected topic"):
        evaluate(spark, other)
    assert remove_topics(admin, [task.outcomes.topic]) == {}
    recreate(task.cluster, task.outcomes.topic)
    produce(task.cluster.bootstrap_servers, task.outcomes.topic, [tell("silent", "No", "02-01")])
    with pytest.raises(EvaluationError, match=r"was recreated: .*--accept-gone keeps the table"):
        evaluate(spark, task)
    assert read_table(spark, task) == before

    evaluate(spark, replace(task, accept_gone=True))
    assert ("silent", "01-06", "labelled", "No", "02-01", False) in read_table(spark, task)


def recreate(cluster: Cluster, topic: str) -> None:
    """Create a topic that was deleted a moment ago."""
    from lib.errors import KafkaSetupError
    from lib.waiting import wait_until

    def is_created() -> bool:
        try:
            create_topics(cluster, {topic: 2})
        except KafkaSetupError:
            return False
        return True

    assert wait_until(is_created, 30)


def write_files(
    spark: SparkSession, folder: Path, rows: Sequence[tuple[bytes, bytes | None]]
) -> None:
    """Write messages as a table of one row for each, appended to a folder."""
    values = [json.loads(value) for _, value in rows if value and value.startswith(b'{"c')]
    names = ["customerID", "Churn", "outcome_ts"]
    if "model_version" in values[0]:
        names = list(values[0])
    frame = spark.createDataFrame([[it.get(name) for name in names] for it in values], names)
    frame.coalesce(1).write.mode("append").parquet(str(folder))


def test_parquet_of_both_sides_gives_what_topics_give_and_each_file_is_read_once(
    spark: SparkSession, task: Task, tmp_path: Path
) -> None:
    folders = tmp_path / "p", tmp_path / "o"
    files = replace(
        task,
        predictions=Side("--prediction-files", "", [str(folders[0])]),
        outcomes=Side("--outcome-files", "", [str(folders[1])]),
    )
    for part in (0, 1):
        write_files(spark, folders[0], [it for it in PREDICTIONS[part] if it[0] != b"noise"])
        write_files(spark, folders[1], OUTCOMES[part])
        evaluate(spark, files)

    assert read_table(spark, files) == TABLE
    changed = next(folders[1].glob("*.parquet"))
    os.utime(changed, (0, 0))
    with pytest.raises(EvaluationError, match=r"was read before, and has changed since"):
        evaluate(spark, files)
    changed.unlink()  # an outcome that was read may go
    evaluate(spark, files)
    next(folders[0].glob("*.parquet")).unlink()
    with pytest.raises(EvaluationError, match=r"is gone: what replaces it would count twice"):
        evaluate(spark, files)
    assert read_table(spark, files) == TABLE


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """Provide a script that runs the job, and kills its own process at a step."""
    path = tmp_path / "killed.py"
    path.write_text(
        "import os, signal, sys\n"
        f"sys.path.insert(0, {str(PROJECT_ROOT)!r})\n"
        "from jobs.evaluate import evaluate_predictions\n"
        "from lib.settings.jobs.quality.evaluate import EvaluateSettings\n"
        "from lib.settings.load import load_settings\n"
        "def strike(step):\n"
        "    if step == sys.argv[1]: os.kill(os.getpid(), signal.SIGKILL)\n"
        "evaluate_predictions(load_settings(EvaluateSettings, sys.argv[2:]), strike)\n"
    )
    return path


@pytest.mark.timeout(600)
def test_a_process_that_is_killed_changes_nothing_and_the_job_describes_the_next_run(
    spark: SparkSession, task: Task, killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from jobs.evaluate import evaluate_predictions
    from lib.settings.jobs.quality.evaluate import EvaluateSettings
    from lib.settings.load import load_settings

    send(task, 0)
    evaluate(spark, task)
    send(task, 1)
    arguments = [
        *("--output", str(task.output), "--output-topic", task.predictions.topic),
        *("--outcome-topic", task.outcomes.topic, "--as-of", AS_OF.isoformat()),
        *("--bootstrap-servers", task.cluster.bootstrap_servers, "--store", str(task.store)),
        *("--contract", str(PROJECT_ROOT / "conf" / "contracts" / "telco_churn.toml")),
    ]

    done = subprocess.run([sys.executable, killed, "table written", *arguments], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(read_table(spark, task)) == 4
    assert evaluate_predictions(load_settings(EvaluateSettings, arguments)) == 0

    assert read_table(spark, task) == TABLE
    printed = capsys.readouterr().out
    assert "predictions  8 so far, 4 new, 1 still unlabelled\n" in printed
    assert "counted      late 1, double 1, contradicting 3, unknown 1\n" in printed
    assert "malformed    2 predictions, 6 outcomes; the positions are in refused/\n" in printed
    assert max(map(len, printed.splitlines())) <= 80 or str(task.output) in printed
