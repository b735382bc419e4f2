"""A registered model is fetched from a server of MLflow, and its signature is compared.

The answers are those of MLflow 3.17.2, as it gave them; `tests/zoo/test_registry.py` asks a real
server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote

import joblib
import pytest

from lib.errors import ModelError, ModelMismatchError, ModelNotFoundError, SettingsError
from lib.store import ModelStore
from lib.tools.models.registry.fetch import fetch_files, find_registered
from lib.tools.models.registry.server import MlflowServer
from tests.support.telco import CONTRACT_FILE
from tests.tools.models.conftest import Run

FOLDER = "1/models/m-12b4ee0666624da98ad164a4c1f3b92e/artifacts"
ALIAS = "/api/2.0/mlflow/registered-models/alias?name=churn&alias=champion"
VERSION = "/api/2.0/mlflow/model-versions/get?name=churn&version=2"
PLACE = "/api/2.0/mlflow/model-versions/get-download-uri?name=churn&version=2"
LIST = "/api/2.0/mlflow-artifacts/artifacts?path="
FILES = "/api/2.0/mlflow-artifacts/artifacts/"
FOUND = """{"model_version": {"name": "churn", "version": "2", "creation_timestamp": 1796072125388,
 "last_updated_timestamp": 1796072125388, "current_stage": "None", "description": "",
 "source": "models:/m-12b4ee0666624da98ad164a4c1f3b92e",
 "run_id": "8870c5b3d7b9427bacb9bdb4deaef276", "status": "READY", "run_link": "",
 "aliases": ["champion"]}}"""
LISTED = """{"files": [{"path": "MLmodel", "is_dir": false, "file_size": 994},
 {"path": "model", "is_dir": true}]}"""
INNER = """{"files": [{"path": "model/model.pkl", "is_dir": false, "file_size": 10461}]}"""
DESCRIPTION = """
flavors:
  sklearn: {pickled_model: model/model.pkl, serialization_format: cloudpickle}
signature:
  inputs: '[{"type": "string", "name": "Contract", "required": true}, {"type": "long",
    "name": "tenure", "required": true}, {"type": "double", "name": "MonthlyCharges"},
    {"type": "long", "name": "age", "required": false}]'
  outputs: null
"""


@dataclass
class Answers:
    """The answers of a server, and what it was asked.

    Attributes:
        by_path: path with query → status and body.
        asked: the path and the header Authorization of each request.
        url: the address of the server.
    """

    by_path: dict[str, tuple[int, bytes]]
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    def serve(self) -> ThreadingHTTPServer:
        answers = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answers.asked.append((self.path, self.headers["Authorization"]))
                known = {unquote(name): it for name, it in answers.by_path.items()}
                status, body = known.get(unquote(self.path), (404, b"{}"))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", body.decode())
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        return server


@pytest.fixture
def answers(tmp_path: Path, pipeline: Any) -> Iterator[Answers]:
    joblib.dump(pipeline, tmp_path / "model.pkl")
    place = f'{{"artifact_uri": "mlflow-artifacts:/{FOLDER}"}}'
    found = Answers(
        {
            ALIAS: (200, FOUND.encode()),
            VERSION: (200, FOUND.encode()),
            PLACE: (200, place.encode()),
            LIST + FOLDER: (200, LISTED.encode()),
            f"{LIST}{FOLDER}/model": (200, INNER.encode()),
            f"{FILES}{FOLDER}/MLmodel": (200, DESCRIPTION.encode()),
            f"{FILES}{FOLDER}/model/model.pkl": (200, (tmp_path / "model.pkl").read_bytes()),
        }
    )
    server = found.serve()
    yield found
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["models:/churn@champion", "models:/churn/2"])
def test_a_registered_model_becomes_a_version(
    answers: Answers, run: Run, store: ModelStore, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", answers.url)
    arguments = ("import", name, "--contract", CONTRACT_FILE)
    with pytest.raises(SettingsError, match=rf"^{name}:model/model\.pkl: can run any code of its"):
        run(*arguments)
    assert store.names() == []

    assert run(*arguments, "--trust")[-1] == "saved churn@1, which is the champion now"

    origin = store.resolve("churn@1").metadata.origin
    assert origin is not None
    assert origin["command"] == "import"
    assert origin["files"] == {"sklearn": "model.pkl"}
    assert origin["mlflow"] == [
        {
            "uri": name,
            "name": "churn",
            "version": "2",
            "run": "8870c5b3d7b9427bacb9bdb4deaef276",
        }
    ]
    assert {authorization for _, authorization in answers.asked} == {None}


@pytest.mark.parametrize(
    ("type_name", "column", "difference"),
    [
        ("long", "Contract", r"found the column Contract \(long\), expected string for category"),
        ("string", "tenure", r"found the column tenure \(string\), expected long for integer"),
        ("long", "MonthlyCharges", r"MonthlyCharges \(long\), expected double for number"),
        ("double", "age", r"found the column age \(double\), expected none of that name"),
    ],
)
def test_a_signature_that_is_not_the_contracts_is_refused(
    answers: Answers,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    type_name: str,
    column: str,
    difference: str,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", answers.url)
    columns = f'[{{"type": "{type_name}", "name": "{column}", "required": true}}]'
    described = (
        "flavors: {sklearn: {pickled_model: model/model.pkl}}\n"
        f"signature: {{inputs: '{columns}'}}"
    )
    answers.by_path[f"{FILES}{FOLDER}/MLmodel"] = (200, described.encode())
    message = "^models:/churn/2: its signature is not that of contract telco-churn: "
    with pytest.raises(ModelMismatchError) as refused:
        run("add", "models:/churn/2", "--contract", CONTRACT_FILE, "--trust")
    assert re.search(f"{message}.*{difference}$", refused.value.message)


def test_files_of_this_machine_are_copied(answers: Answers, tmp_path: Path) -> None:
    folder = tmp_path / "a space and %20"
    folder.mkdir()
    (folder / "MLmodel").write_text(DESCRIPTION)
    server = MlflowServer(answers.url)
    for number, uri in enumerate((str(folder), folder.as_uri())):
        answers.by_path[PLACE] = (200, f'{{"artifact_uri": "{uri}"}}'.encode())
        target = tmp_path / str(number)
        target.mkdir()
        found = fetch_files(["models:/churn/2"], {"MLFLOW_TRACKING_URI": server.url}, target)
        assert (found.paths[0] / "MLmodel").read_text() == DESCRIPTION
    answers.by_path[PLACE] = (200, b'{"artifact_uri": "/srv/elsewhere"}')
    expected = "models:/churn/2: its files lie in /srv/elsewhere on the machine of the server"
    with pytest.raises(ModelNotFoundError, match=expected):
        fetch_files(["models:/churn/2"], {"MLFLOW_TRACKING_URI": server.url}, tmp_path)


@pytest.mark.parametrize(
    ("environ", "header"),
    [
        ({}, None),
        ({"MLFLOW_TRACKING_TOKEN": "abc"}, "Bearer abc"),
        (
            {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": "secret"},
            "Basic YW5uOnNlY3JldA==",
        ),
        ({"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_TOKEN": "abc"}, "Basic YW5uOg=="),
    ],
)
def test_the_login_is_that_of_mlflows_own_variables(
    answers: Answers, environ: dict[str, str], header: str | None
) -> None:
    server = MlflowServer.from_environment({"MLFLOW_TRACKING_URI": f"{answers.url}/", **environ})
    assert find_registered(server, "models:/churn@champion").version == "2"
    assert answers.asked == [(ALIAS, header), (PLACE, header)]
    assert "secret" not in repr(server)
    assert "abc" not in repr(server)


def test_a_login_within_the_address_is_used_and_never_shown(answers: Answers) -> None:
    address = answers.url.replace("//", "//ann:secret@")
    answers.by_path[VERSION] = (401, b"You are not authenticated.")
    server = MlflowServer.from_environment({"MLFLOW_TRACKING_URI": address})
    with pytest.raises(SettingsError) as refused:
        find_registered(server, "models:/churn/2")
    assert str(refused.value) == (
        f"{answers.url}: the server of MLflow refuses the login (HTTP 401) (set"
        " MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, of a"
        " user who may read the model)"
    )
    assert answers.asked == [(VERSION, "Basic YW5uOnNlY3JldA==")]


def test_no_other_server_gets_the_login(answers: Answers) -> None:
    other = Answers({"/elsewhere": (200, FOUND.encode())})
    server = other.serve()
    answers.by_path[VERSION] = (302, f"{other.url}/elsewhere".encode())
    environ = {"MLFLOW_TRACKING_URI": answers.url, "MLFLOW_TRACKING_TOKEN": "abc"}
    found = find_registered(MlflowServer.from_environment(environ), "models:/churn/2")
    server.shutdown()
    server.server_close()
    assert found.version == "2"
    assert other.asked == [("/elsewhere", None)]


NOT_FOUND = b"""{"error_code": "RESOURCE_DOES_NOT_EXIST", "message":
 "Registered Model with name=churn not found", "sqlstate": "KAM00"}"""
NO_ALIAS = b"""{"error_code": "INVALID_PARAMETER_VALUE", "message":
 "Registered model alias champion not found.", "sqlstate": "KAM00"}"""


@pytest.mark.parametrize(
    ("path", "status", "body", "kind", "expected"),
    [
        (ALIAS, 404, NOT_FOUND, ModelNotFoundError, "Registered Model with name=churn not found"),
        (ALIAS, 400, NO_ALIAS, ModelNotFoundError, "Registered model alias champion not found"),
        (ALIAS, 500, b"<html>", ModelError, "answered HTTP 500: no explanation of MLflow's"),
        (ALIAS, 200, b"<html>", ModelError, "alias answered no JSON object"),
        (ALIAS, 200, b"{}", ModelError, "found no 'model_version' in the answer about models:/"),
        (ALIAS, 403, b"", SettingsError, r"refuses the login \(HTTP 403\)"),
        (LIST + FOLDER, 200, b"{}", ModelError, "models:/churn@champion: found no file at 1/mod"),
        (
            LIST + FOLDER,
            200,
            b'{"files": [{"path": "..", "is_dir": true}]}',
            ModelError,
            r"lists a file by the name '\.\.'",
        ),
        (
            LIST + FOLDER,
            200,
            b'{"files": [{"path": "a\\\\..\\\\b"}]}',
            ModelError,
            "lists a file by the name",
        ),
        (
            PLACE,
            200,
            b'{"artifact_uri": "s3://key:secret@bucket/1"}',
            ModelError,
            r"its files lie in a store of the kind s3, .*mlflow artifacts download -u models:/",
        ),
        (
            PLACE,
            200,
            b'{"artifact_uri": "mlflow-artifacts://other:1/1"}',
            ModelError,
            "its files lie in a store of the kind mlflow-artifacts",
        ),
    ],
)
def test_an_answer_without_the_model_is_said(
    answers: Answers,
    tmp_path: Path,
    path: str,
    status: int,
    body: bytes,
    kind: type[Exception],
    expected: str,
) -> None:
    answers.by_path[path] = (status, body)
    environ = {"MLFLOW_TRACKING_URI": answers.url, "MLFLOW_TRACKING_TOKEN": "abc"}
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(kind, match=expected) as refused:
        fetch_files(["models:/churn@champion"], environ, target)
    assert "secret" not in str(refused.value)
    assert "abc" not in str(refused.value)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "found no MLFLOW_TRACKING_URI in the environment, expected the address"),
        ({"MLFLOW_TRACKING_URI": "sqlite:///a.db"}, "MLFLOW_TRACKING_URI: found sqlite, expected"),
        ({"MLFLOW_TRACKING_URI": "./mlruns"}, "MLFLOW_TRACKING_URI: found no scheme, expected"),
        ({"MLFLOW_REGISTRY_URI": "databricks"}, "MLFLOW_REGISTRY_URI: found no scheme, expected"),
        ({"MLFLOW_TRACKING_URI": "http://host:port"}, "MLFLOW_TRACKING_URI or MLFLOW_HTTP_REQUEST"),
        (
            {
                "MLFLOW_TRACKING_URI": "https://localhost:1",
                "MLFLOW_TRACKING_SERVER_CERT_PATH": "/none",
            },
            "MLFLOW_TRACKING_SERVER_CERT_PATH or MLFLOW_TRACKING_CLIENT_CERT_PATH: ",
        ),
    ],
)
def test_an_address_that_is_no_servers_is_refused(
    tmp_path: Path, environ: dict[str, str], expected: str
) -> None:
    with pytest.raises(SettingsError, match=expected):
        fetch_files(["models:/churn/2"], environ, tmp_path)


def test_a_server_that_is_away_is_said(tmp_path: Path) -> None:
    expected = "^http://127.0.0.1:1: the server of MLflow was not reached: .*Connection refused"
    with pytest.raises(ModelError, match=expected):
        fetch_files(["models:/churn/2"], {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}, tmp_path)


@pytest.mark.parametrize(
    "name", ["models:/churn", "models:/churn/latest", "models:/m-12b4", "models:/a@b@c"]
)
def test_another_form_of_the_name_is_refused(answers: Answers, name: str) -> None:
    expected = "expected models:/NAME@ALIAS or models:/NAME/VERSION"
    with pytest.raises(SettingsError, match=expected):
        find_registered(MlflowServer(answers.url), name)
