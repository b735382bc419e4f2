"""The producer works on a real broker."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.produce import produce
from lib.decode.engines.python import decode_value
from lib.errors import KafkaSetupError, SettingsError, SinkError
from lib.kafka.cluster import Cluster
from lib.settings.jobs.produce import ProduceSettings
from lib.setup.places import PROJECT_ROOT
from lib.tools.broker.ports import pick_free_ports
from lib.tools.produce.mixture import Message
from lib.tools.produce.sending import Target, send_messages
from tests.support.telco import CUSTOMER
from tests.support.topics import read_topic

if TYPE_CHECKING:
    from lib.tools.broker import Broker
    from tests.conftest import TopicFactory

JOB = PROJECT_ROOT / "jobs" / "produce.py"
Produce = Callable[..., int]


@pytest.fixture
def run(broker: Broker) -> Produce:
    def build(**options: Any) -> int:
        chosen = {"bootstrap_servers": broker.bootstrap_servers, **options}
        return produce(ProduceSettings.model_validate(chosen))

    return build


def test_every_customer_arrives_once_with_its_key_and_the_time_of_sending(
    run: Produce, broker: Broker, topic: TopicFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    name = topic(3)

    assert run(input_topic=name, count=2_000) == 0

    messages = read_topic(broker.bootstrap_servers, name)
    assert len({message.key() for message in messages}) == len(messages) == 2_000
    for message in messages:
        decoded = decode_value(message.value(), CUSTOMER)
        assert decoded.is_valid
        assert decoded.identifier == (message.key() or b"").decode()
        age = datetime.now(UTC) - datetime.fromisoformat(decoded.event_time or "")
        assert timedelta(0) <= age < timedelta(minutes=2)
    assert f"2,000 records delivered to {name}" in capsys.readouterr().out


def test_broken_records_are_broken_on_arrival(
    run: Produce, broker: Broker, topic: TopicFactory
) -> None:
    name = topic()

    assert run(input_topic=name, count=500, bad_share=0.1) == 0

    values = [message.value() for message in read_topic(broker.bootstrap_servers, name)]
    assert len(values) == 500
    assert sum(not decode_value(value, CUSTOMER).is_valid for value in values) == 50
    assert None in values
    assert max(len(value or b"") for value in values) == 900_000


def test_a_file_is_sent_row_by_row(
    run: Produce, broker: Broker, topic: TopicFactory, tmp_path: Path
) -> None:
    name, path = topic(), tmp_path / "customers.csv"
    row = {field.name: str(field.stand_in) for field in (CUSTOMER.identifier, *CUSTOMER.features)}
    row["PaymentMethod"] = '"Mailed check"'
    rows = [row | {"customerID": identifier} for identifier in ("a", "b")]
    lines = [list(row), *(list(row.values()) for row in rows)]
    path.write_text("\n".join(",".join(line) for line in lines))

    assert run(input_topic=name, source=str(path)) == 0

    messages = read_topic(broker.bootstrap_servers, name)
    assert [message.key() for message in messages] == [b"a", b"b"]
    assert json.loads(messages[0].value() or b"")["PaymentMethod"] == "Mailed check"


def test_the_rate_is_kept(run: Produce, topic: TopicFactory) -> None:
    started_s = time.monotonic()

    assert run(input_topic=topic(), count=300, rate=200) == 0

    # A loaded machine takes seconds to reach the broker.
    assert 1.4 < time.monotonic() - started_s < 30.0


def test_a_missing_topic_is_refused_or_created(run: Produce, broker: Broker) -> None:
    name = f"test-produce-{time.time_ns()}"
    with pytest.raises(KafkaSetupError, match=f"topic {name}"):
        run(input_topic=name, count=1)

    assert run(input_topic=name, count=10, create_topic=True, topic_partitions=3) == 0
    assert run(input_topic=name, count=10, create_topic=True, topic_partitions=3) == 0

    messages = read_topic(broker.bootstrap_servers, name)
    assert len(messages) == 20
    assert {message.partition() for message in messages} <= {0, 1, 2}


def test_a_certificate_that_is_not_there_is_one_clear_error(run: Produce, tmp_path: Path) -> None:
    options = {"security.protocol": "SSL", "ssl.ca.location": str(tmp_path / "none.pem")}

    with pytest.raises(SettingsError, match="librdkafka does not take the --kafka options"):
        run(input_topic="customers", count=1, kafka=options)


@pytest.mark.usefixtures("impatient")
def test_no_broker_is_one_clear_error(capfd: pytest.CaptureFixture[str]) -> None:
    (port,) = pick_free_ports(1)
    settings = ProduceSettings(bootstrap_servers=f"127.0.0.1:{port}", count=1)

    with pytest.raises(KafkaSetupError, match=f"nothing listens at 127.0.0.1:{port} "):
        produce(settings)

    assert capfd.readouterr().err == ""


def test_what_is_not_delivered_is_counted_by_its_reason(
    run: Produce, broker: Broker, topic: TopicFactory
) -> None:
    name = topic(config={"max.message.bytes": "100000"})

    # Records go one by one and without compression, so that the broker judges each of them.
    options = {"compression.type": "none", "batch.num.messages": "1"}

    with pytest.raises(SinkError, match=r"1 of 13 records were not delivered .*MSG_SIZE_TOO_LARGE"):
        run(input_topic=name, count=13, bad_share=1.0, kafka=options)

    assert len(read_topic(broker.bootstrap_servers, name)) == 12


def test_a_message_that_the_client_refuses_does_not_stop_the_others(
    broker: Broker, topic: TopicFactory
) -> None:
    name = topic()
    messages = [Message(b"a", b"1", None), Message(b"b", b"x" * 2_000, None)] * 2

    cluster = Cluster(broker.bootstrap_servers, {"message.max.bytes": "1000"})
    report = send_messages(messages, Target(cluster, name))

    assert (report.sent, report.delivered) == (4, 2)
    assert report.failures == {"MSG_SIZE_TOO_LARGE": 2}


def test_keys_go_where_java_clients_put_them(broker: Broker, topic: TopicFactory) -> None:
    name = topic(4)
    # These are the results of Kafka's Utils.toPositive(Utils.murmur2(key)) % 4.
    expected = {b"21": 0, b"foobar": 2, b"a-little-bit-long-string": 0}

    send_messages([Message(key, b"{}", None) for key in expected], Target(broker.cluster, name))

    found = {m.key(): m.partition() for m in read_topic(broker.bootstrap_servers, name)}
    assert found == expected


@pytest.mark.parametrize(
    ("number", "count", "exit_code"),
    [(signal.SIGINT, 0, 0), (signal.SIGTERM, 0, 0), (signal.SIGINT, 1_000_000, 130)],
)
def test_a_signal_ends_the_sending_and_everything_sent_is_delivered(
    broker: Broker, topic: TopicFactory, number: int, count: int, exit_code: int
) -> None:
    name = topic()
    arguments = ["--bootstrap-servers", broker.bootstrap_servers, "--input-topic", name]
    command = [sys.executable, str(JOB), *arguments, "--rate", "50", "--count", str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        assert "sent to" in job.stdout.readline()  # the sending has begun
        job.send_signal(number)
        output, _ = job.communicate(timeout=30)

    assert job.returncode == exit_code
    delivered = int(output.split(" records delivered")[0].splitlines()[-1].replace(",", ""))
    assert delivered == len(read_topic(broker.bootstrap_servers, name)) > 50
