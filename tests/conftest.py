"""Fixtures for the whole suite: one Spark session and one broker, started when a test first asks.

A test that uses ``spark`` (or ``broker``, or a fixture whose name ends so), directly or through
another fixture, gets the marker of that name, so that ``pytest -m "not spark and not broker"`` runs
without a JVM. In one process tests run in that order too: pure ones first, because they tell most
per second. ``make test`` shares the files out to processes, and begins with those that take longest
(``tests/longest.py``), so that all processes end together.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from fcntl import LOCK_EX, flock
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from hypothesis import settings

from lib.setup.launch import build_local_settings, build_variables, read_spark_defaults
from tests.longest import LONGEST
from tests.support.name_server import NameServer, NoNameServerError, run_name_server

if TYPE_CHECKING:  # pure tests must not even import them
    from pyspark.sql import SparkSession

    from lib.tools.broker import Broker, EmbeddedBroker
    from tests.crash.proxy import Proxy

# A loaded machine is slow, not wrong, so no test measures how long an example takes.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# These tests need libraries that only `make zoo` and `make deploy-check` have.
collect_ignore = [] if find_spec("lightgbm") else ["zoo"]
collect_ignore += [] if "DEPLOY_TOOLS" in os.environ else ["deploy/test_tools.py"]

#: A fixture that starts a JVM or a broker has a name that ends in the marker that it gives.
_MARKERS = ("spark", "broker")

_RANKS = {path: rank for rank, path in enumerate(LONGEST)}

# Tests start many short JVMs and no long one: the archive of loaded classes and the quick compiler
# alone make each start twice as fast. Jobs that tests run as separate processes inherit this
# setting.
os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1")


class TopicFactory(Protocol):
    """A function that makes a topic which no other test uses."""

    def __call__(self, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """Create the topic and return its name."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the fixtures they use, and order them by what those fixtures cost."""
    for item in items:
        for marker in _MARKERS:
            if any(name.endswith(marker) for name in getattr(item, "fixturenames", ())):
                item.add_marker(marker)
    # The sorts are stable: among tests of one cost the order of the files remains.
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: (_rank(item), -_cost(item)))
    else:
        items.sort(key=_cost)


def _rank(item: pytest.Item) -> int:
    """Return the place of the test's file among those that take longest."""
    return _RANKS.get(item.nodeid.partition("::")[0], len(_RANKS))


def _cost(item: pytest.Item) -> int:
    if item.get_closest_marker("broker"):
        return 2
    return 1 if item.get_closest_marker("spark") else 0


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Start a session with the job's settings (conf/spark-defaults.conf), small and quiet."""
    from lib.exactly_once.checkpoint.files import PLAIN_FILE_SYSTEM
    from lib.spark.local_session import start_local_session

    scratch = tmp_path_factory.mktemp("spark")
    defaults = read_spark_defaults()
    del defaults["spark.jars.packages"]  # the tests take the jars that were fetched
    settings = {
        **defaults,
        **build_local_settings(),
        "spark.master": "local[2]",
        "spark.hadoop.fs.file.impl": PLAIN_FILE_SYSTEM,
        "spark.sql.shuffle.partitions": "2",
        # With each heartbeat Spark notes which tasks run, which some tests read after few seconds.
        "spark.executor.heartbeatInterval": "1s",
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.local.dir": str(scratch / "local"),
    }
    session = start_local_session("tests", settings, build_variables({}))
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """Provide the broker that KAFKA_BOOTSTRAP_SERVERS names, or an embedded one."""
    from lib.tools.broker import provide_broker

    # By default an embedded broker looks only every 10 s for transactions that last too long, and
    # deletes records of long ago, which some tests send.
    with provide_broker(
        {
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
            "log.retention.ms": "-1",
        }
    ) as running:
        yield running


@pytest.fixture(scope="session")
def name_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameServer]:
    """Provide a name server; where there can be none, one that sees no name."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(run_name_server(tmp_path_factory.mktemp("names")))
        except NoNameServerError as error:
            server = NameServer(set(), (), str(error))
        # This process has set the variable itself, and whoever starts a job has not.
        unset = ("env", "--unset", "ORT_DISABLE_TELEMETRY")
        yield replace(server, launcher=(*unset, *server.launcher))


@pytest.fixture
def crashable_broker() -> Iterator[EmbeddedBroker]:
    """Start a broker for one test alone, which may kill it and start it again."""
    from lib.tools.broker import EmbeddedBroker

    with EmbeddedBroker() as running:
        yield running


@pytest.fixture(scope="session")
def _proxied_broker() -> Iterator[tuple[EmbeddedBroker, Proxy]]:
    from tests.crash.ground import open_ground
    from tests.crash.schedule import Site

    with open_ground(Site.ONE, ()) as ground:
        yield ground.broker, ground.proxy


@pytest.fixture
def proxied_broker(
    _proxied_broker: tuple[EmbeddedBroker, Proxy],
) -> Iterator[tuple[EmbeddedBroker, Proxy]]:
    """Provide a broker that clients reach through a proxy; all interference ends with the test."""
    yield _proxied_broker
    _proxied_broker[1].calm()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a job wait for brokers that are not reached for 1 s, which shows the same as 4."""
    monkeypatch.setattr("lib.kafka.connection.connect.PATIENCE_S", 1.0)


@pytest.fixture
def topic(broker: Broker, request: pytest.FixtureRequest) -> TopicFactory:
    """Make topics on ``broker``, which are not deleted: its folder is removed as a whole."""
    from lib.kafka.topics import create_topics

    def create(partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        name = f"test-{request.node.originalname[:80]}-{uuid.uuid4().hex[:8]}"
        create_topics(broker.cluster, {name: partitions}, config)
        return name

    return create


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Provide a new, empty folder for a streaming query's checkpoint."""
    return tmp_path / "checkpoint"


@pytest.fixture(scope="session")
def model_store(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a store with churn@1, the champion, in all backends, fitted on 2,000 customers.

    The customers are synthetic. The processes that run the test files in parallel share the store,
    so no test may change it.
    """
    from lib.store import ModelStore
    from tests.support.stored_models import fit_version

    is_shared_out = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if is_shared_out else base) / "models"
    with root.with_suffix(".lock").open("w") as lock:
        flock(lock, LOCK_EX)  # the process that gets the lock fits the model, the others find it
        if not root.exists():
            fit_version(spark, root, number=1)
            ModelStore(root).promote("churn", 1)
    return root
