"""Fetches a registered model of MLflow: the version that it stands for, and its files."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lib.errors import ModelError, ModelNotFoundError, SettingsError
from lib.file_errors import naming_file
from lib.tools.models.registry.server import MlflowServer

PREFIX = "models:/"
# A version is a number. MLflow lets an alias begin with a letter only.
_REFERENCE = re.compile(r"models:/(?P<name>[^/@:]+)(@(?P<alias>[\w-]+)|/(?P<version>[0-9]{1,18}))")
# The folder of a model has tens of files; a server could answer without end.
_MAX_FILES = 10_000
_PROXY = "mlflow-artifacts/artifacts"


@dataclass(frozen=True)
class RegisteredModel:
    """A version of a model that is registered on a server.

    Attributes:
        uri: the text that names it, ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.
        name: its registered name.
        version: its number, which an alias stood for at the time of asking.
        run_id: the run that made it; empty if the server knows none.
        location: the URI of its files.
    """

    uri: str
    name: str
    version: str
    run_id: str
    location: str

    @property
    def facts(self) -> dict[str, str]:
        """The facts for a version's origin."""
        facts = {"uri": self.uri, "name": self.name, "version": self.version, "run": self.run_id}
        return {name: it for name, it in facts.items() if it}


@dataclass(frozen=True)
class Fetched:
    """The files of a model as a command line names them, those from a server included.

    Attributes:
        paths: the files and folders on this machine.
        models: folder on this machine → the registered model that it holds.
    """

    paths: list[Path]
    models: Mapping[Path, RegisteredModel]

    @property
    def facts(self) -> list[dict[str, str]]:
        """The facts about the registered models, for a version's origin."""
        return [it.facts for it in self.models.values()]

    def show(self, path: str | Path) -> str:
        """Name a path as the user knows it: ``models:/NAME@ALIAS:model.pkl``."""
        for folder, model in self.models.items():
            if Path(path).is_relative_to(folder):
                inner = Path(path).relative_to(folder)
                return model.uri if inner == Path() else f"{model.uri}:{inner}"
        return str(path)


def is_registered(name: str) -> bool:
    """Tell whether a text names a model on a server of MLflow's."""
    return name.startswith(PREFIX)


def fetch_files(names: Sequence[str], environ: Mapping[str, str], folder: Path) -> Fetched:
    """Fetch the models that are registered on a server; other names are paths already.

    Args:
        names: paths, and texts like ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.
        environ: the variables that name the server and the user.
        folder: an empty folder, which gets one for each model.

    Raises:
        SettingsError: the text has another form, no server is named, or it refuses the login.
        ModelError: the server is not reached, knows no such model, or does not hand out its files.
    """
    models = {}
    paths = []
    for number, name in enumerate(names):
        path = Path(name)
        if is_registered(name):
            server = MlflowServer.from_environment(environ)
            model = find_registered(server, name)
            path = folder / str(number)
            _download(server, model, path)
            models[path] = model
        paths.append(path)
    return Fetched(paths, models)


def find_registered(server: MlflowServer, uri: str) -> RegisteredModel:
    """Ask a server which version a text means, and where its files lie.

    Raises:
        SettingsError: the text has another form, or the server refuses the login.
        ModelError: the server is not reached, or knows no such model.
    """
    match = _REFERENCE.fullmatch(unquote(uri))
    if match is None:
        raise SettingsError(
            f"{uri}: expected models:/NAME@ALIAS or models:/NAME/VERSION",
            hint="name a version of a registered model by its alias or its number",
        )
    name, alias, version = match["name"], match["alias"], match["version"]
    if alias is not None:
        answer = server.ask("mlflow/registered-models/alias", name=name, alias=alias)
    else:
        answer = server.ask("mlflow/model-versions/get", name=name, version=version)
    try:
        facts: dict[str, Any] = answer["model_version"]
        version = str(facts["version"])
        place = server.ask("mlflow/model-versions/get-download-uri", name=name, version=version)
        location = str(place["artifact_uri"])
    except (KeyError, TypeError) as error:
        raise ModelError(
            f"{server.url}: found no {error} in the answer about {uri}",
            hint="check that the server is one of MLflow 2.3 or newer",
        ) from error
    return RegisteredModel(uri, name, version, str(facts.get("run_id") or ""), location)


def _download(server: MlflowServer, model: RegisteredModel, target: Path) -> None:
    """Copy the folder of a model from the server, or from this machine's own files."""
    location = urlsplit(model.location)
    handed_out = f"{server.url}/api/2.0/{_PROXY}/"
    if location.scheme == "mlflow-artifacts" and location.netloc in (
        "",
        urlsplit(server.url).netloc,
    ):
        _download_folder(server, unquote(location.path).strip("/"), model, target)
    elif model.location.startswith(handed_out):
        root = unquote(model.location.removeprefix(handed_out)).strip("/")
        _download_folder(server, root, model, target)
    elif location.scheme in ("", "file") and location.netloc in ("", "localhost"):
        # A path that is no URL has its characters as they are.
        path = unquote(location.path) if location.scheme else model.location
        _copy_folder(Path(path), model, target)
    else:
        raise ModelError(
            f"{model.uri}: its files lie in a store of the kind {location.scheme}, which the server"
            " of MLflow does not hand out itself",
            hint=f"fetch them with `mlflow artifacts download -u {model.uri} -d FOLDER`, and add"
            " that folder",
        )


def _copy_folder(source: Path, model: RegisteredModel, target: Path) -> None:
    if not source.is_dir():
        raise ModelNotFoundError(
            f"{model.uri}: its files lie in {source} on the machine of the server, and there is no"
            " such folder on this one",
            hint="copy that folder here and add it, or let the server hand out files with"
            " `mlflow server --serve-artifacts`",
        )
    with naming_file(source):
        shutil.copytree(source, target)


def _download_folder(server: MlflowServer, root: str, model: RegisteredModel, target: Path) -> None:
    """Write all files below a path of the server's into a folder."""
    pending, count = [(root, target)], 0
    while pending:
        path, folder = pending.pop()
        folder.mkdir(mode=0o700)
        listed = server.ask(_PROXY, path=path).get("files") or []
        count += len(listed)
        if not listed or count > _MAX_FILES:
            found = f"more than {_MAX_FILES:,} files" if listed else "no file"
            raise ModelError(
                f"{model.uri}: found {found} at {path} on {server.url}",
                hint="check that the model was logged whole, and that the server has its files",
            )
        for file in listed:
            name = _read_name(file, model, server)
            if file.get("is_dir"):
                pending.append((f"{path}/{name}", folder / name))
            else:
                with naming_file(folder / name):
                    server.save(f"{_PROXY}/{path}/{name}", folder / name)


def _read_name(file: Any, model: RegisteredModel, server: MlflowServer) -> str:
    """Read the name of a file, whose path some servers give as a whole; it leads nowhere else."""
    path = file.get("path") if isinstance(file, dict) else None
    name = path.rpartition("/")[2] if isinstance(path, str) else ""
    if name in ("", ".", "..") or "\\" in name or "\0" in name:
        raise ModelError(
            f"{model.uri}: {server.url} lists a file by the name {name!r}",
            hint="check that the server is one of MLflow's",
        )
    return name
