"""Packs the model that a job's settings name into an archive."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from lib.score.choice import choose_backend, find_model
from lib.score.registry import BACKENDS
from lib.settings.base import ModelSettings
from lib.setup.places import BUILD_ROOT
from lib.setup.whole_file import make_whole
from lib.store.version import find_version
from lib.tools.deploy.sending import MODELS_NAME, SentModel


def pack_model(settings: ModelSettings, folder: Path = BUILD_ROOT) -> SentModel | None:
    """Pack the present version of the model.

    Args:
        settings: the settings, which name store, model and backend.
        folder: the folder for the archive.

    Returns:
        The archive; None for a model that is a folder, or a URL. Executors read its files too, and
        find sent files under other paths than the driver, so its store has to be one that all
        machines see.

    Raises:
        ModelError: there is no such model.
    """
    path = find_model(settings)
    backend = settings.backend
    if backend == "auto":
        backend = choose_backend(path, native_only=True)
    if BACKENDS[backend].suffix is None or isinstance(path, str):
        return None
    version = find_version(path)
    if version is not None and version.path == path:
        root = f"{version.name}/{version.version}"
        flags: tuple[str, ...] = ("--store", MODELS_NAME, "--model", version.reference)
    else:
        root = path.name
        flags = ("--model", f"{MODELS_NAME}/{root}")
    files = [path] if path.is_file() else sorted(it for it in path.rglob("*") if it.is_file())
    digest = hashlib.sha256(root.encode())
    for file in files:
        digest.update(file.relative_to(path.parent).as_posix().encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    archive = folder / f"model-{digest.hexdigest()[:16]}.zip"
    if not archive.is_file():
        with (
            make_whole(archive) as fresh,
            zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as packed,
        ):
            for file in files:
                inner = "" if file == path else f"/{file.relative_to(path).as_posix()}"
                packed.write(file, f"{root}{inner}")
    return SentModel(archive, flags)
