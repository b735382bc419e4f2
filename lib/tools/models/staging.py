"""Lays the files of a model out as a version has them, and asks for trust in what can run code."""

from __future__ import annotations

import getpass
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import joblib

from lib.errors import ModelNotFoundError, SettingsError
from lib.file_errors import naming_file
from lib.record.contract import Contract
from lib.score.admission.signature import check_signature
from lib.score.base import ModelBackend
from lib.score.mlflow_folder import find_mlflow_model
from lib.score.registry import BACKENDS, DEFAULT, find_by_suffix, find_for_folder

# joblib reads plain pickles too.
_PICKLES = (".joblib", ".pkl", ".pickle")

Show = Callable[[Path], str]
Load = Callable[[Path, Path | None], ModelBackend]


def sort_files(paths: Sequence[Path], contract: Contract, show: Show = str) -> dict[str, Path]:
    """Find backend → file or folder of the model, which may lie in a folder of MLflow's.

    Args:
        paths: the files and folders.
        contract: the contract of the records, with which signatures of MLflow's are compared.
        show: a function that names a path in messages.

    Raises:
        ModelNotFoundError: there is no such file.
        ModelMismatchError: the signature of a folder of MLflow's is not that of the contract.
        SettingsError: no backend takes the file, or two are for the same backend.
        ModelError: a folder of MLflow's holds no model that can be scored.
    """
    found: dict[str, Path] = {}
    for path in paths:
        name, file = _find_backend(path, contract, show)
        if name in found:
            raise SettingsError(
                f"{show(found[name])} and {show(file)}: both are models for {name}, expected one"
                " file for each backend",
                hint="add them one after the other, as two versions",
            )
        found[name] = file
    return found


def _find_backend(path: Path, contract: Contract, show: Show) -> tuple[str, Path]:
    if not path.exists():
        raise ModelNotFoundError(f"{path}: no such file or folder", hint="check the path")
    by_mlflow = find_mlflow_model(path)
    if by_mlflow is not None:
        check_signature(by_mlflow, contract, show(path))
        return by_mlflow.backend, by_mlflow.path
    if path.is_dir():
        if not (path / "metadata").is_dir():
            raise SettingsError(
                f"{path}: found a folder without metadata, expected a PipelineModel of Spark",
                hint="name the folder that model.save(…) has written",
            )
        return find_for_folder(), path
    others = (*_PICKLES, *BACKENDS[DEFAULT].closed_suffixes)
    name = find_by_suffix(path) or (DEFAULT if path.suffix in others else None)
    if name is None:
        known = [kind.suffix for kind in BACKENDS.values() if kind.suffix is not None]
        raise SettingsError(
            f"{path}: found the suffix {path.suffix or 'none'}, expected one of"
            f" {', '.join(dict.fromkeys([*known, *others]))}, or a folder",
            hint="save the model in one of these forms; another kind needs a backend of its own",
        )
    return name, path


def list_risky(files: Mapping[str, Path], preprocessor: Path | None) -> Iterator[Path]:
    """List the files that can run code of their makers when they are loaded or score."""
    for name, path in files.items():
        if BACKENDS[name].may_run_code(path):
            yield path
    if preprocessor is not None and BACKENDS[DEFAULT].may_run_code(preprocessor):
        yield preprocessor


def require_trust(files: Sequence[str], *, is_trusted: bool, now: datetime) -> dict[str, str]:
    """Make sure that somebody trusts the files that can run code.

    Args:
        files: the names of the files that can run code.
        is_trusted: whether the caller has said so.
        now: the time, with a time zone.

    Returns:
        The user, the machine and the time, for the version's metadata; empty for no files.

    Raises:
        SettingsError: there are such files, and nobody has said that they are trusted.
    """
    if not files:
        return {}
    if not is_trusted:
        raise SettingsError(
            f"{', '.join(files)}: can run any code of its maker when it is loaded or scores",
            hint="add --trust if you would let its maker change the code of the job; ONNX files"
            " need none",
        )
    return {
        "by": f"{_find_user()}@{platform.node()}",
        "at": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _find_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # containers may run as a user without a name
        return "unknown"


def stage(files: Mapping[str, Path], preprocessor: Path | None, folder: Path, load: Load) -> None:
    """Copy the files of a model into a folder, each under the name that its backend looks for.

    A scikit-learn model in another form than a pickle, or with a preprocessor before it, becomes
    one pickle, because a version has one file for it.

    Args:
        files: backend → file or folder.
        preprocessor: a file with a transformer that comes before the scikit-learn model.
        folder: an empty folder.
        load: a function of model and preprocessor that loads a scikit-learn model.

    Raises:
        SettingsError: there is a preprocessor, but no scikit-learn model.
        ModelError: a file cannot be loaded.
        FileError: a file cannot be read, or the device is full.
    """
    if preprocessor is not None and DEFAULT not in files:
        raise SettingsError(
            f"--preprocessor {preprocessor}: found no scikit-learn model, expected one beside it",
            hint="name the file of the classifier too",
        )
    for name, path in files.items():
        target = folder / BACKENDS[name].artefact
        with naming_file(path):
            if path.is_dir():
                shutil.copytree(path, target)
            elif name == DEFAULT and (preprocessor is not None or path.suffix not in _PICKLES):
                joblib.dump(_join(load(path, preprocessor)), target)
            else:
                shutil.copyfile(path, target)


def _join(loaded: ModelBackend) -> object:
    from sklearn.pipeline import Pipeline

    first = getattr(loaded, "preprocessor", None)
    if first is None:
        return loaded.model
    return Pipeline([("preprocess", first), ("classify", loaded.model)])
