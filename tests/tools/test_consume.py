"""The job's output is read on a real broker."""

from __future__ import annotations

import base64
import json
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Producer

from jobs.consume import consume
from lib.errors import KafkaSetupError
from lib.kafka.reading import iter_until_end, open_reader
from lib.messages.dead_letter import DeadLetterFormat
from lib.settings.jobs.consume import ConsumeSettings
from lib.setup.places import PROJECT_ROOT
from lib.tools.broker.ports import pick_free_ports
from tests.support.letters import Row, send_letters
from tests.support.records import record
from tests.support.topics import produce

if TYPE_CHECKING:
    from lib.tools.broker import Broker
    from tests.conftest import TopicFactory

JOB = PROJECT_ROOT / "jobs" / "consume.py"
Consume = Callable[..., list[str]]

NO_TEXT = b"\xff\xfe{}"
NO_JSON = b'{"customerID": "0001"'


@pytest.fixture
def output(topic: TopicFactory) -> str:
    return topic(1)


@pytest.fixture
def letters(topic: TopicFactory) -> str:
    return topic(1, {"max.message.bytes": "3145728"})


@pytest.fixture
def run(broker: Broker, output: str, letters: str, capsys: pytest.CaptureFixture[str]) -> Consume:
    """Return a function that runs the job and returns the printed lines."""

    def call(**more: Any) -> list[str]:
        options = {
            "bootstrap_servers": broker.bootstrap_servers,
            "output_topic": output,
            "dead_letter_topic": letters,
        }
        assert consume(ConsumeSettings.model_validate({**options, **more})) == 0
        return capsys.readouterr().out.splitlines()

    return call


def send_numbers(broker: Broker, topic: str, count: int, start: int = 0) -> list[str]:
    values = [f'{{"customerID":"{number:04d}"}}' for number in range(start, start + count)]
    produce(broker.bootstrap_servers, topic, [(b"key", value.encode()) for value in values])
    return values


def test_predictions_are_printed_as_they_stand_in_the_topic(
    run: Consume, broker: Broker, output: str
) -> None:
    values = send_numbers(broker, output, 5)

    assert run() == values
    assert run(count=3) == values[:3]
    assert run() == values, "it remembers nothing"


def test_what_comes_while_a_topic_is_read_is_left_to_the_next_reading(
    broker: Broker, topic: TopicFactory
) -> None:
    output = topic(2)
    send_numbers(broker, output, 50)
    with open_reader(broker.cluster, [output]) as reader:
        messages = iter_until_end(reader)
        found = [next(messages)]
        send_numbers(broker, output, 5_000, start=50)
        found += messages

    assert sorted(it.value() or b"" for it in found) == [
        b'{"customerID":"%04d"}' % number for number in range(50)
    ]


def test_what_was_never_committed_is_not_printed(run: Consume, broker: Broker, output: str) -> None:
    settings = {"bootstrap.servers": broker.bootstrap_servers, "transactional.id": output}
    producer = Producer(settings)
    producer.init_transactions(60)
    for value, end in (
        (b"aborted", producer.abort_transaction),
        (b"committed", producer.commit_transaction),
    ):
        producer.begin_transaction()
        producer.produce(output, value)
        producer.flush(60)
        end(60)

    assert run() == ["committed"]


@pytest.mark.parametrize("style", DeadLetterFormat)
def test_a_dead_letter_is_a_line_that_says_why_and_holds_the_record_if_asked(
    run: Consume, broker: Broker, letters: str, style: DeadLetterFormat
) -> None:
    rows: list[Row] = [
        (b"0001", NO_JSON, []),
        (b"\xff", NO_TEXT, []),
        (b"0003", None, []),
        (b"0004", record(gender="M"), []),
    ]
    send_letters(broker.bootstrap_servers, "raw", letters, rows, style)

    found = [json.loads(line) for line in run(show="dead-letters")]

    assert [letter["error_type"] for letter in found] == [
        *["processing_error"] * 3,
        "validation_error",
    ]
    assert "gender" in found[3]["error_message"]
    assert {letter["source_topic"] for letter in found} == {"raw"}
    if style is DeadLetterFormat.HEADERS:
        assert [letter["source_offset"] for letter in found] == [0, 1, 2, 3]
    assert all(letter["failed_ts"][:2] == "20" for letter in found), "when each failed"
    assert not any("original_message" in letter for letter in found)

    whole = [json.loads(line) for line in run(show="dead-letters", original=True)]
    assert [
        (letter["original_key"], letter["original_message"], letter["original_encoding"])
        for letter in whole[:3]
    ] == [
        ("0001", NO_JSON.decode(), "utf-8"),
        (base64.b64encode(b"\xff").decode(), base64.b64encode(NO_TEXT).decode(), "base64"),
        ("0003", None, None),
    ]
    assert whole[3]["original_message"].encode() == record(gender="M")


def test_a_key_finds_its_answers_in_whatever_partition_and_the_letters_of_its_records(
    run: Consume, broker: Broker, topic: TopicFactory, letters: str
) -> None:
    output = topic(3)
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for number, key in enumerate([b"a", b"b", b"a", b"\xff", b"a"]):
        producer.produce(output, f"{number}".encode(), key, partition=number % 3)
    assert producer.flush(60) == 0
    rows: list[Row] = [(b"a", NO_JSON, []), (b"b", NO_TEXT, [])]
    send_letters(broker.bootstrap_servers, "raw", letters, rows)

    assert sorted(run(output_topic=output, key=["a"])) == ["0", "2", "4"]
    assert sorted(run(output_topic=output, key=["b", "base64:/w=="])) == ["1", "3"]
    assert len(run(output_topic=output, key=["a"], count=2)) == 2
    assert run(output_topic=output, key=["c"]) == []
    (letter,) = map(json.loads, run(show="dead-letters", key=["b"]))
    assert letter["source_offset"] == 1


def test_what_is_no_dead_letter_is_named_and_the_rest_is_read(
    run: Consume, broker: Broker, letters: str
) -> None:
    produce(broker.bootstrap_servers, letters, [(b"key", b"hello")])
    send_letters(broker.bootstrap_servers, "raw", letters, [(b"0001", NO_JSON, [])])

    first, second = map(json.loads, run(show="dead-letters"))

    assert first["unreadable"].startswith(f"{letters}[0]@0: ")
    assert second["error_type"] == "processing_error"


def test_an_empty_topic_is_no_error(run: Consume) -> None:
    assert run() == []


def test_it_follows_what_comes_from_now_on_until_it_is_told_to_end(
    broker: Broker, output: str
) -> None:
    send_numbers(broker, output, 3)
    command = [sys.executable, str(JOB), "--start", "latest", "--output-topic", output]
    with subprocess.Popen(
        [*command, "--bootstrap-servers", broker.bootstrap_servers],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as job:
        assert job.stdout is not None
        sent: list[str] = []
        # The job begins at the topic's end at the moment of its start, which nobody else can see.
        while not select.select([job.stdout], [], [], 0.5)[0]:
            sent += send_numbers(broker, output, 1, start=10 + len(sent))
        line = job.stdout.readline().rstrip()
        job.send_signal(signal.SIGTERM)
        rest, said = job.communicate(timeout=60)

    assert job.returncode == 0
    printed = [line, *rest.splitlines()]
    assert printed == sent[-len(printed) :]
    assert said.splitlines()[-1] == f"{len(printed)} predictions"


def test_a_reader_that_has_had_enough_ends_it_in_silence(broker: Broker, output: str) -> None:
    send_numbers(broker, output, 5_000)
    command = f"{sys.executable} {JOB} --output-topic {output} | head -1"
    found = subprocess.run(
        ["bash", "-c", command],
        env={"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert found.stdout == '{"customerID":"0000"}\n'
    assert "Error" not in found.stderr
    assert "Traceback" not in found.stderr


def test_a_topic_that_is_not_there_is_one_clear_error(run: Consume) -> None:
    with pytest.raises(KafkaSetupError, match=r"missing at .*: topic nowhere"):
        run(output_topic="nowhere")


@pytest.mark.usefixtures("impatient")
def test_no_broker_is_one_clear_error(run: Consume) -> None:
    (port,) = pick_free_ports(1)
    with pytest.raises(KafkaSetupError, match=rf"127\.0\.0\.1:{port}"):
        run(bootstrap_servers=f"127.0.0.1:{port}")
