"""The documents' Python blocks run in order, in one namespace for each document.

The addresses and topics of the text are replaced by those of the test's broker. The working
directory has the model store ``models`` that the text assumes.
"""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lib.score.registry import BACKENDS
from tests.conftest import TopicFactory
from tests.docs.documents import ROOT, iter_blocks, list_documents
from tests.support.topics import build_customers, produce, read_topic

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lib.tools.broker import Broker

INPUT, OUTPUT = "telco.raw.customers", "telco.churn.predictions"
DEAD_LETTERS, SERVERS = "telco.deadletter", "localhost:9092"
CHECKPOINTS = "checkpoints/"

# Documents by the test that runs them. A document with Python blocks that is in no list fails
# below.
WITH_MODELS = ("README.md", "docs/backends.md", "docs/models.md")
WITH_BROKER = ("docs/api.md", "docs/dead_letters.md", "docs/exactly_once_sink.md")


@pytest.fixture
def workspace(model_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a working directory like the clone, with a copy of the model store."""
    shutil.copytree(model_store, tmp_path / "models")
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def substitutes(broker: Broker, topic: TopicFactory, tmp_path: Path) -> dict[str, str]:
    """Return text of documents → its replacement; input and dead-letter topics hold records."""
    wide = {"max.message.bytes": "2097152"}
    names = {INPUT: topic(2, wide), OUTPUT: topic(2), DEAD_LETTERS: topic(1, wide)}
    produce(broker.bootstrap_servers, names[INPUT], build_customers(200, bad_share=0.05))
    # The JVM keeps the working directory in which it was started.
    return {SERVERS: broker.bootstrap_servers, CHECKPOINTS: f"{tmp_path}/checkpoints/", **names}


def run_blocks(
    document: str, namespace: Mapping[str, Any], substitutes: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Execute a document's blocks as one program; a failure names the line of the document."""
    shared: dict[str, Any] = {"__name__": f"blocks of {document}", **namespace}
    for block in iter_blocks(document, "python"):
        # The test tests/setup/test_wheel.py runs the blocks for the wheel.
        if block.mark in ("signatures", "wheel"):
            continue
        # Blank lines come before the code, so that line numbers in tracebacks are the document's.
        source = "\n" * block.line + _substitute(block.text, substitutes or {})
        exec(compile(source, str(ROOT / document), "exec"), shared)  # noqa: S102  own code
    return shared


def _substitute(text: str, substitutes: Mapping[str, str]) -> str:
    for written, real in substitutes.items():
        text = text.replace(written, real)
    return text


@pytest.mark.parametrize("document", WITH_MODELS)
def test_blocks_about_models_run(spark: SparkSession, workspace: Path, document: str) -> None:
    known = dict(BACKENDS)
    run_blocks(document, {"spark": spark})
    for name in BACKENDS.keys() - known.keys():  # the document that adds a backend has left them
        del BACKENDS[name]


def test_blocks_of_the_api_run(
    spark: SparkSession, workspace: Path, substitutes: dict[str, str]
) -> None:
    run_blocks("docs/api.md", {"spark": spark}, substitutes)


def test_blocks_about_dead_letters_run(
    spark: SparkSession, workspace: Path, substitutes: dict[str, str]
) -> None:
    score_topic(spark, substitutes)
    namespace = run_blocks("docs/dead_letters.md", {}, substitutes)

    assert 5 <= len(namespace["letters"]) <= 20


def test_blocks_of_the_sinks_guide_run_without_any_model(
    spark: SparkSession, broker: Broker, topic: TopicFactory, tmp_path: Path
) -> None:
    source, large, small, packed = topic(3), topic(1), topic(1), topic(1)
    orders = [(f"{n}".encode(), json.dumps({"amount": 100 * n}).encode()) for n in range(30)]
    produce(broker.bootstrap_servers, source, orders)
    substitutes = {
        SERVERS: broker.bootstrap_servers,
        CHECKPOINTS: f"{tmp_path}/checkpoints/",
        '"sort-orders"': f'"sort-{source}"',
        '"pack-orders"': f'"pack-{source}"',
        '"orders.packed"': f'"{packed}"',
        '"orders.large"': f'"{large}"',
        '"orders.small"': f'"{small}"',
        '"orders"': f'"{source}"',
    }

    run_blocks("docs/exactly_once_sink.md", {"spark": spark}, substitutes)

    assert len(read_topic(broker.bootstrap_servers, large)) == 20
    assert len(read_topic(broker.bootstrap_servers, small)) == 10
    assert len(read_topic(broker.bootstrap_servers, packed)) == 30


def score_topic(spark: SparkSession, substitutes: Mapping[str, str]) -> None:
    """Run the stream with its defaults until it has scored all records that are there."""
    from lib.score.choice import load_backend
    from lib.settings.jobs.score_stream import ScoreStreamSettings
    from lib.stream.route import choose_route
    from lib.stream.start import start_stream
    from tests.support.telco import CUSTOMER

    settings = ScoreStreamSettings(
        bootstrap_servers=substitutes[SERVERS],
        input_topic=substitutes[INPUT],
        output_topic=substitutes[OUTPUT],
        dead_letter_topic=substitutes[DEAD_LETTERS],
        query_name=f"docs-{substitutes[INPUT]}",
        checkpoint=f"{substitutes[CHECKPOINTS]}operations",
        trigger="available-now",
    )
    scorer = load_backend(spark, settings)
    route = choose_route(spark, settings, scorer)
    stream = start_stream(spark, settings, scorer, CUSTOMER, route)
    stream.query.awaitTermination(120)
    assert stream.sink is not None
    stream.sink.close()


def test_every_document_with_python_blocks_is_run() -> None:
    with_blocks = {name for name in list_documents() if any(iter_blocks(name, "python"))}

    assert with_blocks <= {*WITH_MODELS, *WITH_BROKER}


@pytest.mark.parametrize("document", list_documents())
def test_python_blocks_are_formatted_like_code(document: str) -> None:
    for block in iter_blocks(document, "python"):
        ast.parse(block.text)
        assert max(map(len, block.text.splitlines())) <= 100, block.place
