"""A file that cannot be used is named, with the user or the device."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lib.errors import DiskFullError, FileError, SettingsError
from lib.file_errors import (
    build_file_error,
    find_full,
    find_mount,
    look_at_folder,
    measure_free_bytes,
    naming_file,
)
from lib.inference_backend import load_model
from lib.record.contract_file import read_contract
from lib.settings.command import run_command
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.load import load_settings
from lib.setup.places import PROJECT_ROOT
from lib.store import ModelStore
from tests.store.test_model_store import save
from tests.support.small_disk import make_read_only, small_disk

NOBODY = 65534


@contextmanager
def acting_as_nobody() -> Iterator[None]:
    """Be a user without rights while the block runs, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_tmp_path(tmp_path: Path) -> Path:
    """Provide a folder that every user may enter."""
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o055)
    return tmp_path


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small disk") as place:
        yield place


def list_of_places(root: Path) -> dict[str, tuple[Path, Callable[[], object]]]:
    """List what a job reads → the path without rights, and the work that needs it."""
    store = ModelStore(root / "models")
    contract, config = root / "contract.toml", root / "job.toml"
    pickled, graph = root / "lone model.joblib", root / "Modell für März.onnx"
    return {
        "store": (store.root, lambda: store.resolve("churn@champion")),
        "names": (store.root, store.names),
        "model": (store.root / "churn", lambda: store.resolve("churn@1")),
        "champion": (store.root / "churn" / "champion", lambda: store.resolve("churn@champion")),
        "metadata": (
            store.root / "churn" / "1" / "metadata.json",
            lambda: store.resolve("churn@1"),
        ),
        "artefact": (
            store.root / "churn" / "1" / "pipeline.joblib",
            lambda: store.resolve("churn@1").verify(),
        ),
        "lone joblib": (pickled, lambda: load_model("sklearn", pickled)),
        "lone graph": (graph, lambda: load_model("onnx", graph)),
        "contract": (contract, lambda: read_contract(contract)),
        "config": (config, lambda: load_settings(ScoreStreamSettings, ["--config", str(config)])),
    }


@pytest.mark.parametrize("what", list_of_places(Path()))
def test_what_may_not_be_read_is_one_line_with_its_path(
    open_tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = open_tmp_path
    store = ModelStore(root / "models")
    save(store)
    store.promote("churn", 1)
    for name in ("contract.toml", "job.toml", "lone model.joblib", "Modell für März.onnx"):
        (root / name).write_text("")
    path, work = list_of_places(root)[what]
    mode = path.stat().st_mode
    path.chmod(0)

    def run() -> int:
        work()
        return 0

    try:
        with acting_as_nobody():
            code = run_command(run)
    finally:
        path.chmod(mode)

    printed = capsys.readouterr().err
    assert code in (1, 2)
    assert printed.startswith("error: ")
    assert printed.count("\n") == 1
    assert str(path) in printed
    assert re.search(r"must not use it|Permission denied", printed)


def test_a_store_that_may_not_be_written_is_refused_before_anything_is_trained(
    open_tmp_path: Path,
) -> None:
    store = ModelStore(open_tmp_path / "models")
    store.root.mkdir(mode=0o755)

    user = os.geteuid() or NOBODY
    if os.geteuid() != 0:
        store.root.chmod(0o555)
    with acting_as_nobody(), pytest.raises(FileError) as refusal:
        store.check_writable("churn")

    assert refusal.value.message == f"{store.root}/churn: user {user} must not use it"
    assert list(store.root.iterdir()) == []


def test_a_full_device_is_named_and_no_half_version_stays(full: Path) -> None:
    store = ModelStore(full)

    with pytest.raises(DiskFullError) as refusal:
        store.check_writable("churn")
    assert refusal.value.message == (
        f"{full}/churn: no space is left on tmpfs, which is mounted at {full}"
    )
    # Space that runs out later, while the model is written, is the same.
    (full / "ballast").unlink()

    def write_much(folder: Path) -> None:
        (folder / "pipeline.joblib").write_bytes(b"\1" * 1_000_000)

    with pytest.raises(DiskFullError, match=rf"{full}/churn/\.saving-\w+: no space is left on tm"):
        save(store, write=write_much)
    assert list((full / "churn").iterdir()) == []


def test_the_full_one_of_several_places_is_found(full: Path, tmp_path: Path) -> None:
    (full / "rest").write_bytes(b"\0" * 12_000)

    assert find_full([str(tmp_path), str(full / "not" / "made" / "yet")]) == [
        f"{full}/not/made/yet on tmpfs, which is mounted at {full}"
    ]
    assert find_full([str(tmp_path)]) == []


def test_a_look_at_a_folder_tells_whether_it_could_be_written_and_writes_nothing(
    open_tmp_path: Path, full: Path
) -> None:
    locked, file = open_tmp_path / "locked", open_tmp_path / "file"
    locked.mkdir(mode=0o555)
    file.touch()
    look_at_folder(open_tmp_path / "new" / "newer")
    with acting_as_nobody(), pytest.raises(FileError, match=r"locked: user \d+ must not use it"):
        look_at_folder(locked / "new")
    with pytest.raises(FileError, match="file: Not a directory"):
        look_at_folder(file / "new")
    assert measure_free_bytes(full / "new") < 64 * 1024
    make_read_only(full)
    with pytest.raises(FileError, match=r"small disk: .* can only be read"):
        look_at_folder(full)

    assert sorted(it.name for it in open_tmp_path.iterdir()) == ["file", "locked", "small disk"]


def test_a_path_is_on_the_innermost_mount(full: Path) -> None:
    mount = find_mount(str(full / "x"))
    assert mount is not None
    assert (mount.device, mount.folder) == ("tmpfs", str(full))
    root = find_mount("/")
    assert root is not None
    assert root.folder == "/"


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EROFS, r"/x: .*, which is mounted at /\S*, can only be read"),
        (errno.ENOSPC, r"/x: no space is left on .*, which is mounted at /"),
        (errno.EDQUOT, r"/x: no space is left on "),
        (errno.EACCES, r"/x: user \d+ must not use it"),
        (errno.EPERM, r"/x: user \d+ must not use it"),
        (errno.EIO, r"/x: Input/output error"),
        (errno.ENAMETOOLONG, r"/x: File name too long"),
        (errno.EISDIR, r"/x: Is a directory"),
    ],
)
def test_each_error_of_the_system_has_its_sentence(number: int, message: str) -> None:
    assert re.match(message, build_file_error(OSError(number, os.strerror(number), "/x")).message)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("command", [["contract.py", "show", "conf/contracts/telco_churn.toml"]])
def test_standard_output_on_a_full_device_is_one_line(command: list[str]) -> None:
    with Path("/dev/full").open("w") as output:
        done = subprocess.run(
            [sys.executable, f"jobs/{command[0]}", *command[1:]],
            cwd=PROJECT_ROOT,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr == (
        "error: no space is left for the standard output, or for a temporary file (free some"
        " space, or name another place)\n"
    )


def test_an_error_that_is_none_of_a_file_passes() -> None:
    with pytest.raises(ConnectionResetError), naming_file("/x"):
        raise ConnectionResetError("reset")
    with pytest.raises(ConnectionResetError):
        run_command(lambda: (_ for _ in ()).throw(ConnectionResetError(104, "reset")))
    assert issubclass(FileError, Exception)
    assert not issubclass(FileError, SettingsError)
