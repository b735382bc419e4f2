"""The embedded broker keeps its promises about starting, ending, crashing and coming back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, ConfigEntry, ConfigResource

from lib.errors import KafkaSetupError, SetupError
from lib.exactly_once.transaction.producer import open_producer
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.kafka.admin import build_admin, list_brokers, list_partitions, read_ends
from lib.kafka.broker_settings import find_versions, read_broker_settings
from lib.kafka.cluster import Cluster
from lib.kafka.topics import create_topics
from lib.setup.places import PROJECT_ROOT
from lib.tools.broker import EmbeddedBroker, Listener
from lib.tools.broker.ports import pick_free_ports
from tests.conftest import TopicFactory
from tests.support.waiting import wait_until

pytestmark = pytest.mark.broker

_ANSWER_TIMEOUT_S = 20.0


@pytest.fixture(scope="module")
def own_broker() -> Iterator[EmbeddedBroker]:
    """Start a broker for this module, which tests may kill."""
    with EmbeddedBroker() as running:
        yield running


def test_a_started_broker_answers_beside_another_and_a_stopped_one_leaves_nothing_behind(
    own_broker: EmbeddedBroker,
) -> None:
    with EmbeddedBroker() as broker:
        pid, folder, port = broker.pid, broker.folder, broker.port
        assert pid is not None
        assert list_topics(broker.bootstrap_servers) == set()
        assert port != own_broker.port
        assert folder != own_broker.folder

    assert not is_running(pid)
    assert not folder.exists()
    assert not accepts_connections(port)
    assert broker.pid is None


def test_a_killed_broker_comes_back_on_the_same_port_with_its_data(
    own_broker: EmbeddedBroker,
) -> None:
    address = own_broker.bootstrap_servers
    create_topics(Cluster(address), {"kept": 1})
    produce(address, "kept", b"before the crash")

    own_broker.kill()
    assert own_broker.pid is None
    assert not accepts_connections(own_broker.port)
    own_broker.restart()

    assert own_broker.bootstrap_servers == address
    assert consume(address, "kept", 1) == [b"before the crash"]


def test_three_brokers_are_one_cluster_that_goes_on_without_one_of_them() -> None:
    with EmbeddedBroker(brokers=3) as broker:
        address = broker.bootstrap_servers
        create_topics(Cluster(address), {"kept": 3})
        admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
        assert sorted(admin.list_topics(timeout=_ANSWER_TIMEOUT_S).brokers) == [1, 2, 3]
        # One broker creates the topics; the others know of them a moment later.
        wait_until(lambda: count_replicas(admin, "kept") == {3}, _ANSWER_TIMEOUT_S)
        assert read_topic_setting(admin, "kept", "min.insync.replicas") == "2"
        # The check for old brokers asks each broker.
        settings = read_broker_settings(admin, list_brokers(admin))
        assert find_versions(settings) == {1: None, 2: None, 3: None}
        first, second, third = (broker.pid_of(it) for it in broker.node_ids)

        broker.kill(2)
        produce(address, "kept", b"before two of three were there")
        assert broker.pid_of(2) is None
        assert (broker.pid_of(1), broker.pid_of(3)) == (first, third)
        broker.restart(2)

        assert broker.pid_of(2) not in (None, second)
        assert broker.bootstrap_servers == address
        broker.shut_down(1)
        assert consume(address, "kept", 1) == [b"before two of three were there"]
        assert count_replicas(admin, "__consumer_offsets") == {3}
        folder, pids = broker.folder, [second, third]

    assert not folder.exists()
    assert not any(pid is not None and is_running(pid) for pid in pids)


def test_a_start_that_loses_its_port_takes_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupant:
        taken = occupant.getsockname()[1]
        answers = iter([(taken, *pick_free_ports(1)), pick_free_ports(2)])
        monkeypatch.setattr("lib.tools.broker.embedded.pick_free_ports", lambda _: next(answers))

        with EmbeddedBroker() as broker:
            assert broker.port != taken
            assert list_topics(broker.bootstrap_servers) == set()


def test_a_failed_start_shows_the_end_of_the_log_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    broker = EmbeddedBroker({"num.io.threads": "none"})

    with pytest.raises(SetupError, match=r"(?s)did not start.*num\.io\.threads"):
        broker.start()

    assert list(tmp_path.iterdir()) == []
    assert broker.pid is None


def test_a_start_that_takes_too_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    # The broker comes up, but waits for a second controller that does not exist.
    lonely = {
        "controller.quorum.voters": "1@127.0.0.1:1,2@127.0.0.1:2",
        "controller.quorum.bootstrap.servers": "",
    }
    with pytest.raises(SetupError, match=r"did not start"):
        EmbeddedBroker(lonely, start_timeout_s=3).start()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("end", "brokers"), [(signal.SIGKILL, 2), (signal.SIGTERM, 1)])
def test_the_end_of_the_owner_is_the_end_of_its_brokers(end: signal.Signals, brokers: int) -> None:
    program = (
        "import time; from lib.tools.broker import EmbeddedBroker\n"
        f"it = EmbeddedBroker(brokers={brokers}); it.start()\n"
        "print(it.folder, *map(it.pid_of, it.node_ids), flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT
    ) as owner:
        assert owner.stdout is not None
        folder, *pids = owner.stdout.readline().split()
        owner.send_signal(end)

    assert len(pids) == brokers
    wait_until(lambda: not any(is_running(int(pid)) for pid in pids), _ANSWER_TIMEOUT_S)
    wait_until(lambda: not Path(folder).exists(), _ANSWER_TIMEOUT_S)


def test_in_the_foreground_it_prints_its_address_and_stops_on_sigterm() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "lib.tools.broker", "--topic", "orders:3", "--brokers", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT_ROOT,
    ) as program:
        assert program.stdout is not None
        address = program.stdout.readline().strip()
        assert list_topics(address) == {"orders"}
        program.send_signal(signal.SIGTERM)
        assert program.wait(_ANSWER_TIMEOUT_S) == 0
        assert program.stderr is not None
        messages = program.stderr.read()

    folder = messages.partition("folder ")[2].partition(";")[0]
    assert folder
    assert not Path(folder).exists()


def test_an_unstarted_broker_says_so() -> None:
    broker = EmbeddedBroker()
    with pytest.raises(SetupError, match=r"has not been started .*call start\(\) first"):
        _ = broker.bootstrap_servers
    with pytest.raises(SetupError, match="has not been started"):
        broker.restart()
    broker.stop()


def test_topics_have_the_partitions_and_settings_asked_for(
    broker: EmbeddedBroker, topic: TopicFactory
) -> None:
    name = topic(3, config={"max.message.bytes": "2000000"})
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    assert len(admin.list_topics(timeout=_ANSWER_TIMEOUT_S).topics[name].partitions) == 3


def test_a_topic_that_exists_is_an_error_that_names_it(
    broker: EmbeddedBroker, topic: TopicFactory
) -> None:
    name = topic()
    with pytest.raises(
        KafkaSetupError, match=rf"topic {name} could not be created at 127\.0\.0\.1"
    ):
        create_topics(broker.cluster, {name: 1})


def read_topic_setting(admin: AdminClient, topic: str, name: str) -> str | None:
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    (answer,) = admin.describe_configs([resource]).values()
    found: dict[str, ConfigEntry] = answer.result(_ANSWER_TIMEOUT_S)
    return found[name].value


def count_replicas(admin: AdminClient, topic: str) -> set[int]:
    partitions = admin.list_topics(topic, timeout=_ANSWER_TIMEOUT_S).topics[topic].partitions
    return {len(it.replicas) for it in partitions.values()}


def list_topics(
    address: str, password: str | None = None, timeout_s: float = _ANSWER_TIMEOUT_S
) -> set[str]:
    """Return the topics that users made, not Kafka's own, which begin with two underscores."""
    settings: dict[str, str | int | float | bool] = {"bootstrap.servers": address, "log_level": 0}
    if password is not None:
        settings |= {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": "ada",
            "sasl.password": password,
        }
    names = AdminClient(settings).list_topics(timeout=timeout_s).topics
    return {name for name in names if not name.startswith("__")}


def produce(address: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": address})
    producer.produce(topic, value)
    assert producer.flush(_ANSWER_TIMEOUT_S) == 0


def consume(address: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": "reader", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    try:
        messages = consumer.consume(count, _ANSWER_TIMEOUT_S)
        return [value for message in messages if (value := message.value()) is not None]
    finally:
        consumer.close()


def accepts_connections(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_settings_listeners_and_users_are_the_callers() -> None:
    (advertised,) = pick_free_ports(1)
    listeners = [
        Listener("PROXIED", advertised_ports=[advertised]),
        Listener("SCRAM", protocol="SASL_PLAINTEXT"),
    ]
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    settings = {
        "auto.create.topics.enable": "true",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.scram.scram-sha-512.sasl.jaas.config": login,
    }
    with EmbeddedBroker(settings, listeners=listeners, scram_users={"ada": "right"}) as broker:
        produce(broker.bootstrap_servers, "made-by-itself", b"x")
        assert list_topics(broker.bootstrap_servers) == {"made-by-itself"}
        # A client that asks for a deleted topic does not create it again.
        for ask in (read_ends, list_partitions):
            with pytest.raises(KafkaException, match="UNKNOWN_TOPIC_OR_PART"):
                ask(build_admin(broker.cluster), "deleted")
        query = TransactionSettings(broker.bootstrap_servers, "query", "deleted")
        with pytest.raises(KafkaException):
            open_producer(query, "run", None, waits=False, reader=None, known=None)
        # The broker creates topics one after the other.
        produce(broker.bootstrap_servers, "made-later", b"x")
        assert list_topics(broker.bootstrap_servers) == {"made-by-itself", "made-later"}

        # A listener may advertise another port than its own.
        admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{broker.port_of('PROXIED')}"})
        (seen,) = admin.list_topics(timeout=_ANSWER_TIMEOUT_S).brokers.values()
        assert broker.port_of("PROXIED") != broker.port
        assert seen.port == advertised

        # A user signs in by SCRAM, but nobody does with a wrong password.
        address = f"127.0.0.1:{broker.port_of('SCRAM')}"
        assert list_topics(address, password="right") == {"made-by-itself", "made-later"}
        with pytest.raises(KafkaException):
            list_topics(address, password="wrong", timeout_s=5.0)
