from __future__ import annotations

import json
import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from lib.errors import ModelCorruptError, ModelMismatchError, ModelNotFoundError, SettingsError
from lib.store import ModelStore, ModelVersion
from lib.store.version import find_version
from tests.support.stored_models import claim_probed
from tests.support.telco import CUSTOMER

NOW = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
FORK = multiprocessing.get_context("forkserver")


def write_two_files(folder: Path) -> None:
    (folder / "pipeline.joblib").write_bytes(b"not really a model")
    (folder / "spark_model" / "metadata").mkdir(parents=True)
    (folder / "spark_model" / "metadata" / "part-0").write_text("{}")


def save(store: ModelStore, name: str = "churn", write: Any = write_two_files, **kw: Any) -> Any:
    values: dict[str, Any] = {
        "metrics": {"sklearn": {"roc_auc": {"mean": 0.85, "std": 0.01}}},
        "probe": claim_probed,
        "threshold": 0.32,
        "contract": CUSTOMER,
        "libraries": {"scikit-learn": "1.9.1"},
        "training": {"rows": 100, "source": "synthetic", "seed": 1},
        "now": NOW,
        **kw,
    }
    return store.save(name, write, **values)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def test_saved_version_is_found_by_number_champion_and_path(store: ModelStore) -> None:
    saved = save(store)
    store.promote("churn", 1)
    for reference in ("churn@1", "churn@champion", f"{store.root}/churn@1", str(saved.path)):
        found = store.resolve(reference)
        assert (found.name, found.version, found.reference) == ("churn", 1, "churn@1")
        assert found.metadata == saved.metadata
        found.verify()
    assert saved.metadata.created == "2025-01-02T03:04:05Z"
    assert saved.metadata.threshold == 0.32
    assert sorted(saved.metadata.artefacts) == [
        "contract.toml",
        "pipeline.joblib",
        "spark_model/metadata/part-0",
    ]


def test_time_is_saved_as_utc(store: ModelStore) -> None:
    saved = save(store, now=NOW.astimezone(timezone(timedelta(hours=2))))
    assert saved.metadata.created == "2025-01-02T03:04:05Z"
    with pytest.raises(ValueError, match="time zone"):
        save(store, now=NOW.replace(tzinfo=None))


def test_versions_count_up_and_stay_as_they_were(store: ModelStore) -> None:
    first = save(store)
    before = (first.path / "metadata.json").read_bytes()
    assert [save(store).version for _ in range(3)] == [2, 3, 4]
    assert store.versions("churn") == [1, 2, 3, 4]
    assert (first.path / "metadata.json").read_bytes() == before
    first.verify()


def test_number_taken_by_anything_else_is_passed_over(store: ModelStore) -> None:
    save(store)
    (store.root / "churn" / "2").write_text("a note")
    (store.root / "churn" / "3").mkdir()
    assert save(store).version == 4
    assert store.versions("churn") == [1, 4]


def test_save_that_raises_leaves_nothing(store: ModelStore) -> None:
    def write_half(folder: Path) -> None:
        write_two_files(folder)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save(store, write=write_half)
    assert list((store.root / "churn").iterdir()) == []
    assert save(store).version == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"write": lambda folder: None}, "wrote no file"),
        ({"write": lambda folder: (folder / "model.bin").write_bytes(b"x")}, "wrote no model"),
        ({"probe": lambda folder: {}}, "the models for sklearn, spark were not probed"),
        ({"probe": lambda folder: {"sklearn": True}}, "the models for sklearn, spark were not"),
        ({"write": lambda folder: (folder / "metadata.json").write_text("")}, "store's own"),
        ({"threshold": 2.0}, "threshold"),
        ({"threshold": float("nan")}, "JSON"),
        ({"libraries": {"pyspark": None}}, "libraries"),
    ],
)
def test_version_that_could_not_be_read_again_is_not_saved(
    store: ModelStore, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        save(store, **change)
    assert list((store.root / "churn").iterdir()) == []


def _save_and_die(root: str) -> None:
    def write_and_die(folder: Path) -> None:
        write_two_files(folder)
        os.kill(os.getpid(), signal.SIGKILL)

    save(ModelStore(root), write=write_and_die)


def test_save_that_is_killed_leaves_no_version(store: ModelStore) -> None:
    process = FORK.Process(target=_save_and_die, args=(str(store.root),))
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert store.versions("churn") == []
    assert save(store).version == 1
    assert store.versions("churn") == [1]


def _save_often(root: str) -> list[int]:
    return [save(ModelStore(root)).version for _ in range(5)]


@pytest.mark.parametrize("pool", [ThreadPoolExecutor(4), ProcessPoolExecutor(4, FORK)])
def test_concurrent_savers_get_different_numbers(store: ModelStore, pool: Any) -> None:
    with pool:
        numbers = [n for part in pool.map(_save_often, [str(store.root)] * 4) for n in part]
    assert sorted(numbers) == list(range(1, 21))
    for number in numbers:
        store.resolve(f"churn@{number}").verify()
    assert not [path for path in (store.root / "churn").iterdir() if path.name.startswith(".")]


def test_champion_points_at_an_existing_version_only(store: ModelStore) -> None:
    save(store)
    with pytest.raises(ModelNotFoundError, match=r"churn@2: not found.*versions of churn: \[1\]"):
        store.promote("churn", 2)
    with pytest.raises(ModelNotFoundError, match=r"champion: not found; versions of churn: \[1\]"):
        store.resolve("churn@champion")
    save(store)
    store.promote("churn", 2)
    store.promote("churn", 1)
    assert store.resolve("churn@champion").version == 1
    assert (store.root / "churn" / "champion").read_text() == "1\n"


@pytest.mark.parametrize("text", ["", "../1", "one", "0", "1 2"])
def test_damaged_champion_is_refused(store: ModelStore, text: str) -> None:
    save(store)
    (store.root / "churn" / "champion").write_text(text)
    with pytest.raises(ModelCorruptError, match="expected a version number"):
        store.resolve("churn@champion")


@pytest.mark.parametrize("reference", ["absent@1", "absent@champion", "absent", "some/where"])
def test_unknown_model_is_not_found(store: ModelStore, reference: str) -> None:
    with pytest.raises(ModelNotFoundError):
        store.resolve(reference)


@pytest.mark.parametrize("name", ["..", "../churn", "a/b", "", ".hidden", "a..b", "a\n"])
def test_name_that_leads_out_of_the_store_is_refused(store: ModelStore, name: str) -> None:
    with pytest.raises(SettingsError, match="model name"):
        save(store, name)
    with pytest.raises(SettingsError, match="model name"):
        store.promote(name, 1)
    with pytest.raises(SettingsError, match="model name"):
        store.versions(name)


def alter(version: ModelVersion) -> None:
    (version.path / "pipeline.joblib").write_bytes(b"something else")


def remove(version: ModelVersion) -> None:
    (version.path / "pipeline.joblib").unlink()


def add(version: ModelVersion) -> None:
    (version.path / "extra.pkl").write_bytes(b"")


def link(version: ModelVersion) -> None:
    moved = version.path.parent.parent / "elsewhere.joblib"
    (version.path / "pipeline.joblib").rename(moved)
    (version.path / "pipeline.joblib").symlink_to(moved)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (alter, r"pipeline\.joblib: found sha256 [0-9a-f]{64}, expected sha256 [0-9a-f]{64}"),
        (remove, r"pipeline\.joblib: found no such file, expected sha256"),
        (add, r"extra\.pkl: found sha256 [0-9a-f]{64}, expected no such file"),
        (link, r"pipeline\.joblib: found a symbolic link"),
    ],
)
def test_altered_version_is_refused_by_the_name_of_the_file(
    store: ModelStore, damage: Any, message: str
) -> None:
    version = save(store)
    damage(version)
    with pytest.raises(ModelCorruptError, match=message):
        version.verify()


@pytest.mark.parametrize(
    "path",
    [
        ".DS_Store",
        "spark_model/.DS_Store",
        "spark_model/metadata/._part-0",
        "._pipeline.joblib",
        ".nfs0000000001a2b3c4",
        "Thumbs.db",
        "desktop.ini",
    ],
)
def test_what_operating_systems_leave_beside_a_model_is_no_fault(
    store: ModelStore, path: str
) -> None:
    version = save(store)
    (version.path / path).write_bytes(b"\0\1Bud1")

    version.verify()
    assert version.read_artefact(version.path / "pipeline.joblib") == b"not really a model"


@pytest.mark.parametrize(
    "path", ["spark_model/Thumbs.db", "spark_model/metadata/desktop.ini", ".hidden", "DS_Store"]
)
def test_what_spark_would_read_or_nobody_knows_is_refused_with_a_hint(
    store: ModelStore, path: str
) -> None:
    version = save(store)
    (version.path / path).write_bytes(b"")

    with pytest.raises(ModelCorruptError, match=rf"{path}: found sha256 .*, expected no") as it:
        version.verify()
    assert it.value.hint == "remove the file, which does not belong to the version"


def test_hadoops_own_checksums_may_be_missing_but_not_the_files_nor_differ(
    store: ModelStore,
) -> None:
    def write(folder: Path) -> None:
        write_two_files(folder)
        (folder / "spark_model" / "metadata" / ".part-0.crc").write_bytes(b"crc\0")

    version = save(store, write=write)
    part = version.path / "spark_model" / "metadata" / "part-0"
    checksum = part.with_name(".part-0.crc")

    checksum.write_bytes(b"crc\1")
    with pytest.raises(ModelCorruptError, match=r"\.part-0\.crc: found sha256"):
        version.verify()
    checksum.unlink()
    version.verify()
    part.unlink()
    with pytest.raises(ModelCorruptError, match=r"/\.part-0\.crc: found no such file"):
        version.verify()


def test_files_of_other_systems_in_the_store_are_no_models(store: ModelStore) -> None:
    save(store)
    for path in (".DS_Store", "Thumbs.db", "churn/.DS_Store", "churn/Thumbs.db"):
        (store.root / path).write_bytes(b"")

    assert store.names() == ["churn"]
    assert store.versions("churn") == [1]
    assert save(store).version == 2


def test_artefact_is_read_only_as_it_was_saved(store: ModelStore) -> None:
    version = save(store)
    assert version.read_artefact(version.path / "pipeline.joblib") == b"not really a model"
    alter(version)
    with pytest.raises(ModelCorruptError, match=r"pipeline\.joblib: found sha256"):
        version.read_artefact(version.path / "pipeline.joblib")


def test_links_to_versions_models_and_pointers_are_refused(store: ModelStore) -> None:
    version = save(store)
    (store.root / "other").symlink_to(store.root / "churn")
    (store.root / "churn" / "2").symlink_to(version.path)
    (store.root / "churn" / "champion").symlink_to(store.root / "churn" / "1")
    for reference in ("other@1", "churn@2", "churn@champion", str(store.root / "churn" / "2")):
        with pytest.raises(ModelCorruptError, match="found a symbolic link"):
            store.resolve(reference)


def test_copied_version_is_refused_under_its_new_number(store: ModelStore) -> None:
    version = save(store)
    version.path.rename(version.path.with_name("7"))
    with pytest.raises(ModelCorruptError, match="found the metadata of churn@1, expected churn@7"):
        store.resolve("churn@7")


def test_version_of_another_contract_is_refused(store: ModelStore) -> None:
    other = replace(CUSTOMER, features=CUSTOMER.features[1:])
    save(store, contract=other)
    assert store.resolve("churn@1").version == 1
    with pytest.raises(
        ModelMismatchError, match=f"{other.fingerprint}, expected {CUSTOMER.fingerprint}"
    ):
        store.resolve("churn@1", contract=CUSTOMER)


def test_version_of_an_artefact_is_found_beside_it(store: ModelStore, tmp_path: Path) -> None:
    version = save(store)
    assert find_version(version.path) == version
    assert find_version(version.path / "pipeline.joblib") == version
    assert find_version(version.path / "spark_model") == version
    bare = tmp_path / "bare"
    bare.mkdir()
    assert find_version(bare / "model.joblib") is None
    (bare / "metadata.json").write_text(json.dumps({"tool": "another"}))
    assert find_version(bare / "model.joblib") is None
    (bare / "metadata.json").write_text("{ truncat")
    with pytest.raises(ModelCorruptError, match="not JSON"):
        find_version(bare / "model.joblib")
