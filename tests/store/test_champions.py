"""Champions are promoted, taken back and kept, and other versions deleted, by several at once."""

from __future__ import annotations

import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from lib.errors import FileError, ModelInUseError, ModelNotFoundError
from lib.store import ModelStore
from tests.support.stored_models import save_version

FORK = multiprocessing.get_context("forkserver")


def write(folder: Path) -> None:
    (folder / "pipeline.joblib").write_bytes(b"not really a model")


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """Make a store with four versions of ``churn`` and no champion."""
    store = ModelStore(tmp_path / "models")
    for _ in range(4):
        save_version(store, write)
    return store


def promote_all(store: ModelStore, *versions: int) -> None:
    for version in versions:
        store.promote("churn", version)


def list_names(store: ModelStore) -> list[str]:
    return sorted(path.name for path in (store.root / "churn").iterdir())


def test_rolling_back_goes_from_champion_to_champion_and_not_by_number(store: ModelStore) -> None:
    promote_all(store, 2, 4, 1, 1, 3)

    assert [store.roll_back("churn") for _ in range(3)] == [1, 4, 2]
    assert store.read_champion("churn") == 2
    with pytest.raises(ModelNotFoundError, match="churn@2: found no champion before it"):
        store.roll_back("churn")
    assert store.read_champion("churn") == 2


def test_a_promotion_after_a_step_back_forgets_what_was_taken_back(store: ModelStore) -> None:
    promote_all(store, 1, 2)
    store.roll_back("churn")
    promote_all(store, 3)

    assert store.roll_back("churn") == 1


def test_rolling_back_passes_over_versions_that_are_gone(store: ModelStore) -> None:
    promote_all(store, 1, 2, 3, 2, 3)
    store.delete("churn", 2)

    assert store.roll_back("churn") == 1


def test_a_champion_of_an_older_store_is_the_one_before(store: ModelStore) -> None:
    (store.root / "churn" / "champion").write_text("2\n")
    promote_all(store, 3)

    assert store.roll_back("churn") == 2


@pytest.mark.parametrize(
    ("champion", "champions", "expected"),
    [
        ("1\n", "1\n2\n", []),  # promote 2 was cut off behind the history
        ("2\n", "1\n2\n1\n", [1]),  # rollback to 2 was cut off behind the pointer
        ("4\n", "1\n2\n", []),  # a person has written the pointer
        ("2\n", "1\n?\n\n2\n", [1]),
    ],
)
def test_a_change_that_was_cut_off_counts_as_far_as_the_pointer_says(
    store: ModelStore, champion: str, champions: str, expected: list[int]
) -> None:
    folder = store.root / "churn"
    (folder / "champion").write_text(champion)
    (folder / "champions").write_text(champions)

    found = []
    try:
        while True:
            found.append(store.roll_back("churn"))
    except ModelNotFoundError:
        pass
    assert found == expected


def test_the_first_version_becomes_the_champion_and_no_later_one(store: ModelStore) -> None:
    assert store.promote_first("churn", 2) is True
    assert store.promote_first("churn", 3) is False
    assert store.read_champion("churn") == 2


def test_a_damaged_pointer_is_put_right_by_a_promotion(store: ModelStore) -> None:
    (store.root / "churn" / "champion").write_text("one")
    promote_all(store, 3)
    assert store.read_champion("churn") == 3


def test_a_version_that_nobody_needs_is_deleted_whole(store: ModelStore) -> None:
    promote_all(store, 3)
    (store.root / "churn" / "2" / "metadata.json").write_text("{ truncat")
    store.delete("churn", 1)
    store.delete("churn", 2)

    assert list_names(store) == [".lock", "3", "4", "champion", "champions"]
    assert save_version(store, write).version == 5


def test_champion_and_highest_number_stay(store: ModelStore) -> None:
    promote_all(store, 2)
    with pytest.raises(ModelInUseError, match="churn@2: is the champion"):
        store.delete("churn", 2)
    with pytest.raises(ModelInUseError, match="churn@4: has the highest number"):
        store.delete("churn", 4)
    with pytest.raises(ModelNotFoundError, match="churn@5: not found"):
        store.delete("churn", 5)
    with pytest.raises(ModelNotFoundError, match="other@1: not found"):
        store.delete("other", 1)
    assert store.versions("churn") == [1, 2, 3, 4]


def test_a_link_in_a_versions_place_is_deleted_and_not_what_it_names(
    store: ModelStore, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    shutil.move(store.root / "churn" / "2", kept)
    (store.root / "churn" / "2").symlink_to(kept)

    store.delete("churn", 2)

    assert store.versions("churn") == [1, 3, 4]
    assert (kept / "pipeline.joblib").is_file()


def test_a_lock_that_is_a_link_is_not_followed(store: ModelStore, tmp_path: Path) -> None:
    (store.root / "churn" / ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileError, match=r"\.lock"):
        store.promote("churn", 1)
    assert not (tmp_path / "elsewhere").exists()


def _promote_in_turn(root: str, versions: list[int]) -> None:
    for _ in range(40):
        for version in versions:
            ModelStore(root).promote("churn", version)


def test_processes_that_promote_at_once_leave_a_whole_history(store: ModelStore) -> None:
    with ProcessPoolExecutor(3, FORK) as pool:
        turns = [[1, 2], [3], [4, 1]]
        list(pool.map(_promote_in_turn, [str(store.root)] * 3, turns))

    lines = (store.root / "churn" / "champions").read_text().split()
    assert lines[-1] == (store.root / "churn" / "champion").read_text().strip()
    assert 1 <= len(lines) <= 100
    assert {*lines} <= {"1", "2", "3", "4"}
    assert all(one != other for one, other in pairwise(lines))
    assert list_names(store) == [".lock", "1", "2", "3", "4", "champion", "champions"]


def _promote_then_look(root: str, version: int) -> bool:
    """Promote a version that may be deleted meanwhile; tell whether it was there."""
    try:
        ModelStore(root).promote("churn", version)
    except ModelNotFoundError:
        return False
    return True


def _delete_then_look(root: str, version: int) -> bool:
    try:
        ModelStore(root).delete("churn", version)
    except ModelInUseError:
        return False
    return True


def test_a_version_is_never_champion_and_deleted(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, FORK) as pool:
        for number in range(25):
            store = ModelStore(tmp_path / str(number))
            for _ in range(3):
                save_version(store, write)
            store.promote("churn", 1)
            promoted = pool.submit(_promote_then_look, str(store.root), 2)
            deleted = pool.submit(_delete_then_look, str(store.root), 2)

            assert promoted.result() != deleted.result()
            assert store.resolve("churn@champion").version == (2 if promoted.result() else 1)


def _save_and_promote_first(root: str) -> tuple[int, bool]:
    store = ModelStore(root)
    version = save_version(store, write).version
    return version, store.promote_first("churn", version)


def test_of_two_first_versions_at_once_one_becomes_the_champion(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, FORK) as pool:
        for number in range(20):
            root = str(tmp_path / str(number))
            found = list(pool.map(_save_and_promote_first, [root] * 2))

            assert sorted(version for version, _ in found) == [1, 2]
            (champion,) = [version for version, is_first in found if is_first]
            assert ModelStore(root).read_champion("churn") == champion
