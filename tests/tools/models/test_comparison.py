"""``jobs/models.py compare`` sets two models against each other, on records too."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import pytest

from jobs.models import manage_models
from lib.errors import SettingsError
from lib.kafka.cluster import Cluster
from lib.kafka.reading import iter_until_end, open_reader
from lib.settings.jobs.models import ModelsSettings
from lib.settings.load import load_settings
from lib.store import ModelStore, ModelVersion
from lib.store.metadata import ModelMetadata
from lib.tools.models.comparison import compare_outcomes, find_worse
from lib.tools.models.records import read_topic
from lib.tools.models.scoring import Outcome
from tests.support.stored_models import save_version

if TYPE_CHECKING:
    from lib.tools.broker import Broker
    from tests.conftest import TopicFactory

Run = Callable[..., list[str]]


@pytest.fixture
def run(store: ModelStore, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that compares churn@1 with churn@2 and returns the lines."""

    def call(*arguments: str) -> list[str]:
        words = ["compare", "churn@1", "churn@2", "--store", str(store.root), *arguments]
        assert manage_models(load_settings(ModelsSettings, words, {})) == 0
        return capsys.readouterr().out.splitlines()

    return call


@pytest.fixture
def other(store: ModelStore, version: ModelVersion, pipeline: Any, tmp_path: Path) -> ModelVersion:
    """Save as ``churn@2`` the same pipeline with all log odds higher by 2."""
    joblib.dump(pipeline, tmp_path / "copy.joblib")
    changed = joblib.load(tmp_path / "copy.joblib")
    changed.steps[-1][1].intercept_ = changed.steps[-1][1].intercept_ + 2
    return save_version(store, lambda folder: joblib.dump(changed, folder / "pipeline.joblib"))


@pytest.mark.parametrize(
    ("change", "tolerance", "worse"),
    [
        ({"roc_auc": 0.79}, 0.02, []),
        ({"roc_auc": 0.77, "brier": 0.1}, 0.02, ["ROC-AUC is worse by 0.0300"]),
        ({"roc_auc": 0.9, "brier": 0.16}, 0.0, ["Brier is worse by 0.0100"]),
        ({"brier": None}, 0.5, ["Brier was not measured"]),
    ],
)
def test_a_metric_that_is_worse_is_named(
    version: ModelVersion, change: dict[str, float | None], tolerance: float, worse: list[str]
) -> None:
    def measured(metrics: dict[str, float | None]) -> ModelMetadata:
        means = {name: {"mean": it} for name, it in metrics.items() if it is not None}
        return dataclasses.replace(version.metadata, metrics={"sklearn": means})

    before: dict[str, float | None] = {"roc_auc": 0.8, "brier": 0.15}

    assert find_worse(measured(before), measured({**before, **change}), tolerance) == worse


def test_outcomes_are_compared_record_by_record() -> None:
    first = [
        Outcome("row 1", "a", 0.2, "No"),
        Outcome("row 2", "b", 0.4, "No"),
        Outcome("row 3", None, reason="tenure: missing"),
        Outcome("row 4", "d", 0.9, "Yes"),
        Outcome("row 5", "e", 0.5, "Yes"),
    ]
    second = [
        Outcome("row 1", "a", 0.2, "No"),
        Outcome("row 2", "b", 0.7, "Yes"),
        Outcome("row 3", None, reason="tenure: missing"),
        Outcome("row 4", "d", 0.8, "Yes"),
        Outcome("row 5", "e", reason="model: ValueError"),
    ]

    assert list(compare_outcomes(first, second, ("old", "new"))) == [
        "5 records, 3 of them scored by both; old gives 1 no prediction, new gives 2 no prediction",
        "same label: 2 of 3, 66.67 % (95 % interval 20.77 % to 93.85 %)",
        "label No becomes Yes: 1",
        "probability: on average 0.500000 becomes 0.566667 (+0.066667, 95 % interval -0.450448 to"
        " +0.583781)",
        "it changes by 0.100000 in the median, by at most 0.280000 for 95 % of the records, by at"
        " most 0.300000 for all",
        "largest changes:",
        "record  identifier       old       new  difference",
        "row 2   b           0.400000  0.700000   +0.300000",
        "row 4   d           0.900000  0.800000   -0.100000",
        "row 1   a           0.200000  0.200000   +0.000000",
    ]


def test_models_that_score_no_record_in_common_are_said_to() -> None:
    outcomes = [Outcome("row 1", None, reason="record: not_json")]
    assert list(compare_outcomes(outcomes, outcomes, ("old", "new"))) == [
        "1 records, 0 of them scored by both; old gives 1 no prediction, new gives 1 no prediction"
    ]


def test_versions_are_compared_on_a_file(run: Run, other: ModelVersion, data: Path) -> None:
    lines = run("--data", str(data))

    assert lines[:2] == [
        "           churn@1  churn@2  difference",
        "threshold   0.5000   0.5000     +0.0000",
    ]
    assert lines[2].startswith("3 records, 2 of them scored by both; churn@1/sklearn gives 1 no")
    assert "churn@1/sklearn" in lines[-3]
    assert {line.split()[2] for line in lines[-2:]} == {"7590-VHVEG", "5575-GNVDE"}
    assert all(line.split()[-1].startswith("+0.") for line in lines[-2:])


def test_a_file_or_a_topic_is_taken_and_not_both(run: Run, other: ModelVersion) -> None:
    with pytest.raises(SettingsError, match="compare takes --data or --topic, found both"):
        run("--data", "x.csv", "--topic", "records")
    assert len(run()) == 2


def test_versions_are_compared_on_a_topic(
    run: Run, other: ModelVersion, broker: Broker, topic: TopicFactory
) -> None:
    from tests.support.topics import build_customers, produce

    name = topic(2)
    produce(broker.bootstrap_servers, name, build_customers(40, bad_share=0.25))

    lines = run("--topic", name, "--bootstrap-servers", broker.bootstrap_servers)
    assert lines[2].startswith("40 records, 3")
    assert f"{name}[" in lines[-1]
    few = run("--topic", name, "--count", "7", "--bootstrap-servers", broker.bootstrap_servers)
    assert few[2].startswith("7 records, ")
    cluster = Cluster(broker.bootstrap_servers)
    newest = [place for place, _ in read_topic(cluster, name, 7)]
    with open_reader(cluster, [name]) as reader:
        places = [f"{name}[{it.partition()}]@{it.offset()}" for it in iter_until_end(reader)]
    both = [[it for it in places if f"[{partition}]" in it] for partition in (0, 1)]
    fewer, more = sorted(both, key=len)
    assert len(fewer) > 4
    assert sorted(newest) == sorted(fewer[-3:] + more[-4:])
