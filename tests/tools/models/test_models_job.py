"""``jobs/models.py`` lists, shows, promotes, takes back and deletes versions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.models import manage_models
from lib.errors import ModelCorruptError, ModelNotFoundError, SettingsError
from lib.printable import align
from lib.settings.jobs.models import ModelsSettings
from lib.settings.load import load_settings
from lib.store import ModelStore
from lib.tools.models.table import describe_age, describe_metric
from tests.support.process import run_python
from tests.support.stored_models import claim_probed
from tests.support.telco import CUSTOMER

Run = Callable[..., list[str]]


def write(folder: Path) -> None:
    (folder / "pipeline.joblib").write_bytes(b"not really a model")
    (folder / "pipeline.onnx").write_bytes(b"not really a graph")


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """Make a store with three versions of ``churn``, the second of which is the champion."""
    store = ModelStore(tmp_path / "models")
    metrics = {
        "spark": {"roc_auc": {"mean": 0.5, "std": 0.1}},
        "sklearn": {
            "brier": {"mean": 0.13256, "std": 0.004},
            "roc_auc": {"mean": 0.851, "std": 0.01},
        },
    }
    for number, measured in enumerate((metrics, {}, {"own": {"gini": {"mean": 0.7}}})):
        store.save(
            "churn",
            write,
            probe=claim_probed,
            metrics=measured,
            threshold=0.3 + number / 8,
            contract=CUSTOMER,
            libraries={"scikit-learn": "1.9.1"},
            training={"rows": 100},
            now=datetime.now(UTC) - timedelta(days=3 - number, minutes=1),
        )
    store.promote("churn", 1)
    store.promote("churn", 2)
    return store


@pytest.fixture
def run(store: ModelStore, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command and returns its lines."""

    def call(*arguments: str) -> list[str]:
        flags = [] if "--store" in arguments else ["--store", str(store.root)]
        assert manage_models(load_settings(ModelsSettings, [*flags, *arguments], {})) == 0
        return capsys.readouterr().out.splitlines()

    return call


def test_versions_stand_side_by_side(run: Run, store: ModelStore) -> None:
    assert run("list", "churn") == run() == [
        "version            age  threshold         ROC-AUC           Brier    gini  engines",
        "churn@1            3 d        0.3  0.8510 ± 0.010  0.1326 ± 0.004       –  onnx, sklearn",
        "churn@2  champion  2 d      0.425               –               –       –  onnx, sklearn",
        "churn@3            1 d       0.55               –               –  0.7000  onnx, sklearn",
    ]  # fmt: skip

    (store.root / "churn" / "1" / "metadata.json").write_text("{ truncat")
    lines = run("list", "churn")
    assert lines[1].startswith("churn@2  champion")
    assert lines[3].startswith("churn@1 is damaged: ")
    assert "not JSON" in lines[3]


def test_an_empty_store_has_no_model(run: Run, tmp_path: Path) -> None:
    assert run("--store", str(tmp_path / "none")) == [f"{tmp_path / 'none'}: there is no model yet"]
    with pytest.raises(ModelNotFoundError, match=r"other: not found in .*; it has churn"):
        run("list", "other")


def test_a_version_is_shown_with_all_that_is_known(run: Run, store: ModelStore) -> None:
    shown = dict(line.split("  ", 1) for line in run("show", "churn@1"))

    assert {key: text.strip() for key, text in shown.items() if key != "saved"} == {
        "version": "churn@1",
        "folder": str(store.root / "churn" / "1"),
        "contract": f"telco-churn {CUSTOMER.fingerprint}",
        "threshold": "0.3",
        "engines": "onnx, sklearn",
        "measured sklearn": "Brier 0.1326 ± 0.004, ROC-AUC 0.8510 ± 0.010",
        "measured spark": "ROC-AUC 0.5000 ± 0.100",
        "training": '{"rows": 100}',
        "libraries": "scikit-learn 1.9.1",
        "files": "3, all as they were saved",
    }
    assert run("show", "churn@champion")[0].split() == ["version", "churn@2", "(champion)"]
    assert run("show", f"{store.root}/churn@3", "--store", "nowhere")[0].split()[1] == "churn@3"

    (store.root / "churn" / "1" / "pipeline.onnx").write_bytes(b"changed")
    with pytest.raises(ModelCorruptError, match=r"pipeline\.onnx: found sha256"):
        run("show", "churn@1")


def test_the_champion_is_changed_and_taken_back_and_the_rest_deleted(
    run: Run, store: ModelStore
) -> None:
    promoted = "champion churn@3: jobs that run take it between two batches"
    assert run("promote", "churn@3") == [promoted]
    assert run("rollback", "churn") == [
        "champion churn@2, as before: jobs that run take it between two batches"
    ]
    assert run("delete", "churn@1") == ["deleted churn@1"]
    assert store.versions("churn") == [2, 3]
    assert store.read_champion("churn") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show"], "show takes one NAME@VERSION or NAME@champion, found nothing"),
        (["promote", "churn@1", "churn@2"], "promote takes one .*, found churn@1 churn@2"),
        (["rollback"], "rollback takes the NAME of one model, found nothing"),
        (["list", "a", "b"], "list takes the NAME of one model, or nothing for all, found a b"),
        (["promote", "churn"], "churn: expected a version in a store"),
        (["promote", "models/churn/1"], "models/churn/1: expected a version in a store"),
        (["remove", "churn@1"], "--command: Input should be 'list', .*found 'remove'"),
    ],
)
def test_a_command_that_names_the_wrong_thing_is_refused(
    run: Run, arguments: list[str], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        run(*arguments)


def test_names_stand_before_between_and_behind_flags(run: Run, store: ModelStore) -> None:
    root = str(store.root)
    assert run("promote", "--store", root, "churn@1") == run("--store", root, "promote", "churn@1")


def test_the_job_ends_with_a_line_and_the_code_of_the_error(store: ModelStore) -> None:
    root = str(store.root)
    done = run_python("jobs/models.py", "delete", "churn@3", "--store", root)
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        "error: churn@3: has the highest number, after which the next version is numbered (keep it"
        " until there is a newer one)\n",
    )


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        ("2026-01-01T00:00:00Z", "31 d"),
        ("2026-01-31T21:30:00Z", "2 h"),
        ("2026-01-31T23:58:30Z", "1 min"),
        ("2026-01-31T23:59:30", "30 s"),
        ("2026-02-01T07:00:00Z", "0 s"),
        ("yesterday", "–"),
    ],
)
def test_ages_have_their_largest_unit(created: str, expected: str) -> None:
    assert describe_age(created, datetime(2026, 2, 1, tzinfo=UTC)) == expected


def test_a_metric_without_spread_or_mean_is_written_too() -> None:
    assert describe_metric({"mean": 0.5}) == "0.5000"
    assert describe_metric({"other": 0.5}) == describe_metric(None) == "–"


def test_text_stands_left_and_numbers_right() -> None:
    assert list(align([["a", "bb"], ["ccc", "d"]])) == ["a    bb", "ccc   d"]
