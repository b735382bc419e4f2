"""A driver that has nothing but what the wrapper sends scores a topic.

``python -m tests.yarn`` does the same on a real YARN.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyspark
import pytest

from lib.setup.jars import JarSet, list_jars
from lib.setup.places import PROJECT_ROOT
from tests.end_to_end.jobs import JOB_TIMEOUT_S, Deployment
from tests.support.topics import build_customers, produce, read_topic, take_account

LIBRARY = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


def read_submitted_words(options: list[str], folder: Path) -> list[str]:
    """Return the words with which the wrapper calls spark-submit."""
    words = folder / "words"
    echo = folder / "spark-class"
    echo.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > '{words}'\n")
    echo.chmod(0o755)
    wrapper = folder / "spark-submit.sh"
    text = (PROJECT_ROOT / "spark-submit.sh").read_text()
    exec_line = 'exec "$spark_submit"'
    assert exec_line in text
    wrapper.write_text(
        text.replace(exec_line, f"exec '{echo}'").replace(
            'root=$(cd "$(dirname "$script")" && pwd -P)', f"root='{PROJECT_ROOT}'"
        )
    )
    wrapper.chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PY")}
    subprocess.run([str(wrapper), *options], cwd=folder, env=environment, check=True)
    return words.read_text().splitlines()


def find_values(words: list[str], option: str) -> list[str]:
    """Return the parts of an option's value."""
    return words[words.index(option) + 1].split(",")


def unpack(words: list[str], folder: Path) -> None:
    """Unpack everything into a driver's folder, as YARN does."""
    for uri in find_values(words, "--files"):
        shutil.copy2(locate(uri), folder / uri.rpartition("#")[2])
    for uri in find_values(words, "--archives"):
        path, name = locate(uri), uri.rpartition("#")[2]
        if path.suffix == ".zip":
            zipfile.ZipFile(path).extractall(folder / name)  # noqa: S202  own archive
            continue
        with tarfile.open(path) as archive:
            # The archive must keep its links to this machine's Python.
            archive.extractall(folder / name, filter="fully_trusted")  # noqa: S202
            for part in ("pyspark/jars/", "mypy/", "pytest/", "pip/", "__editable__"):
                left = f"{LIBRARY}/{part}"
                assert not [it for it in archive.getnames() if it.startswith(left)], part
    (library,) = find_values(words, "--py-files")
    shutil.copy2(library, folder / "lib.zip")
    shutil.copy2(next(it for it in words if it.endswith("score_stream.py")), folder)


def locate(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))


def run_driver(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the driver with Spark and its connector, as a cluster has them, and no more."""
    job = next(index for index, it in enumerate(words) if it.endswith("score_stream.py"))
    jars = ",".join(map(str, list_jars(JarSet.CONNECTOR)))
    options = f"--master local[2] --conf spark.ui.enabled=false --jars {jars} pyspark-shell"
    kept = ("PATH", "JAVA_HOME", "SPARK_SUBMIT_OPTS")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONPATH": "lib.zip",
        "PYSPARK_PYTHON": "./environment/bin/python",
        "PYSPARK_SUBMIT_ARGS": options,
    }
    return subprocess.run(
        ["./environment/bin/python", "score_stream.py", *words[job + 1 :]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=JOB_TIMEOUT_S,
        check=False,
    )


def test_what_is_sent_is_enough(deployment: Deployment, tmp_path: Path) -> None:
    records = build_customers(400, bad_share=0.05)
    produce(deployment.bootstrap_servers, deployment.input_topic, records)
    own, there = tmp_path / "own", tmp_path / "there"
    own.mkdir()
    there.mkdir()
    shutil.copytree(deployment.store, own / "models")
    values = deployment.values(backend="onnx", store=str(own / "models"))
    lines = (f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    (own / "job.toml").write_text("".join(lines))
    (own / "secrets.toml").touch(0o600)
    (own / "secrets.toml").write_text('"client.id" = "from the secrets"\n')
    job = ["jobs/score_stream.py", "--config", "job.toml", "--kafka-secrets", "secrets.toml"]

    words = read_submitted_words(["--master", "yarn", "--deploy-mode", "cluster", *job], own)
    unpack(words, there)
    # Files that no longer exist cannot be read any more.
    shutil.rmtree(own)
    done = run_driver(words, there)

    assert done.returncode == 0, done.stderr
    servers = deployment.bootstrap_servers
    predictions = read_topic(servers, deployment.output_topic)
    dead_letters = read_topic(servers, deployment.dead_letter_topic)
    assert take_account(records, predictions, dead_letters).faults == {}
    assert b'"model_version":"churn@1/onnx"' in (predictions[0].value() or b"")


@pytest.mark.parametrize("name", ["PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"])
def test_driver_and_workers_are_pointed_to_the_python_that_is_sent(
    name: str, tmp_path: Path
) -> None:
    job = tmp_path / "any.py"
    job.touch()
    words = read_submitted_words(
        ["--master", "yarn", "--deploy-mode", "cluster", str(job)], tmp_path
    )
    assert f"spark.yarn.appMasterEnv.{name}=./environment/bin/python" in words
    assert words[-1] == str(job)
