"""A store that others may write is refused with the command that mends it."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.errors import ModelNotTrustedError
from lib.store import ModelStore, ModelVersion
from lib.store import access as module
from tests.support.stored_models import save_version

OTHERS_GROUP = 54_321  # no account has it, and this process is not in it


def write(folder: Path) -> None:
    (folder / "pipeline.joblib").write_bytes(b"not really a model")
    (folder / "spark_model").mkdir()
    (folder / "spark_model" / "part-0").write_text("{}")


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "above" / "models")


@pytest.fixture
def version(store: ModelStore) -> ModelVersion:
    return save_version(store, write)


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def outside_of_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(module, "_CONTAINER_FILES", ())


@pytest.mark.parametrize(
    "path",
    [
        "models",
        "models/churn",
        "models/churn/1",
        "models/churn/1/pipeline.joblib",
        "models/churn/1/metadata.json",
        "models/churn/1/spark_model",
        "models/churn/1/spark_model/part-0",
        ".",
    ],
)
def test_what_others_may_write_is_neither_loaded_nor_promoted(
    store: ModelStore, version: ModelVersion, path: str
) -> None:
    place = (store.root.parent / path).resolve()
    place.chmod(0o777)
    message = rf"{place}: everybody may write it.*\(run chmod go-w {place}\)"

    with pytest.raises(ModelNotTrustedError, match=message):
        version.read_artefact(version.path / "pipeline.joblib")
    with pytest.raises(ModelNotTrustedError, match=message):
        version.verify()
    with pytest.raises(ModelNotTrustedError, match=message):
        store.promote("churn", 1)

    os.system(f"chmod go-w {place}")  # noqa: S605 - it is the command of the message
    version.verify()
    assert version.read_artefact(version.path / "pipeline.joblib") == b"not really a model"
    store.promote("churn", 1)


@pytest.mark.parametrize("path", ["models", "models/churn", "."])
def test_nothing_is_saved_where_others_may_write(
    store: ModelStore, version: ModelVersion, path: str
) -> None:
    (store.root.parent / path).chmod(0o777)
    with pytest.raises(ModelNotTrustedError, match="everybody may write it"):
        save_version(store, write)
    assert store.versions("churn") == [1]


def test_all_that_has_to_be_closed_is_named_at_once(
    store: ModelStore, version: ModelVersion
) -> None:
    store.root.chmod(0o777)
    version.path.chmod(0o707)
    with pytest.raises(ModelNotTrustedError) as refused:
        version.verify()
    assert refused.value.hint == f"run chmod go-w {version.path} {store.root}"


def test_folders_above_with_a_sticky_bit_may_be_written_by_all(
    store: ModelStore, version: ModelVersion
) -> None:
    store.root.parent.chmod(0o1777)
    version.verify()
    store.root.chmod(0o1777)
    version.verify()
    version.path.chmod(0o1777)
    with pytest.raises(ModelNotTrustedError):
        version.verify()


def test_in_a_container_the_folders_above_the_store_do_not_count(
    store: ModelStore, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.root.parent.chmod(0o777)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    version.verify()
    store.root.chmod(0o777)
    with pytest.raises(ModelNotTrustedError, match=f"^{store.root}: everybody"):
        version.verify()


def test_a_version_is_saved_closed_whatever_the_umask(store: ModelStore, open_umask: None) -> None:
    version = save_version(store, write)
    store.promote("churn", 1)

    version.verify()
    modes = {path.name: path.stat().st_mode & 0o777 for path in version.path.rglob("*")}
    assert modes == {
        "contract.toml": 0o644,
        "metadata.json": 0o644,
        "part-0": 0o644,
        "pipeline.joblib": 0o644,
        "spark_model": 0o755,
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to other groups")
def test_a_group_may_write_if_only_the_owner_is_in_it(
    version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = version.path / "pipeline.joblib"
    file.chmod(0o664)
    os.chown(file, -1, OTHERS_GROUP)
    with pytest.raises(ModelNotTrustedError, match=f"group {OTHERS_GROUP} may write it"):
        version.verify()

    # Kubernetes puts a pod into the group of its volumes, which has no name there.
    monkeypatch.setattr(os, "getgroups", lambda: [OTHERS_GROUP])
    version.verify()

    # A private group has the name of its user; with other members it is not private any more.
    names = {OTHERS_GROUP: ("scorer", []), 1: ("scorer", ["scorer", "guest"]), 2: ("team", [])}

    def find_group(group: int) -> grp.struct_group:
        name, members = names[group]
        return grp.struct_group((name, "x", group, members))

    user = pwd.struct_passwd(("scorer", "x", 0, 0, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: user)
    monkeypatch.setattr(grp, "getgrgid", find_group)
    version.verify()
    for group, message in ((1, "group scorer may write"), (2, "group team may write")):
        os.chown(file, -1, group)
        with pytest.raises(ModelNotTrustedError, match=message):
            version.verify()
