"""None of our processes talks to a server that it was not told of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.name_server import NameServer, list_foreign
from tests.support.process import run_python

SCORE = """
import sys
from lib.inference_backend import load_model, predict
from tests.score.models import build_customers

model = load_model("onnx", sys.argv[1])
print(len(predict(model, build_customers(50, seed=3))[0]))
"""


def test_a_scoring_process_writes_no_identifier_below_home(
    onnx_path: Path, name_server: NameServer, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    variables = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    done = run_python("-c", SCORE, str(onnx_path), launcher=name_server.launcher, **variables)

    assert (done.returncode, done.stdout) == (0, "50\n"), done.stderr
    assert list(home.rglob("*")) == []
    assert list_foreign(name_server.names) == set()


def test_the_name_server_sees_who_looks_up_a_name(name_server: NameServer) -> None:
    if name_server.missing:
        pytest.skip(name_server.missing)
    look_up = "import socket; socket.getaddrinfo('collector.example', 443)"
    done = run_python("-c", look_up, launcher=name_server.launcher)

    assert "Name or service not known" in done.stderr
    assert name_server.names == {"collector.example"}
    name_server.names.clear()
