"""Dead letters sent again, on a real broker."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Message

from jobs.resend import resend_dead_letters
from lib.codec.messages import (
    HEADER_RETRY_COUNT,
    DeadLetterFormat,
)
from lib.errors import CorrectionError, KafkaSetupError, SinkFencedError, SinkRejectedError
from lib.resending.resend import resend
from lib.resending.selection import Selection
from lib.settings.resend import ResendSettings
from lib.sinks.header_text import Header
from lib.sinks.settings import TransactionSettings
from tests.letters import Row, send_letters
from tests.process import run_python
from tests.records import BROKEN, record
from tests.topics import read_headers, read_topic

if TYPE_CHECKING:
    from lib.broker import Broker
    from tests.conftest import TopicFactory

Resend = Callable[..., int]
OWN_HEADER: Header = ("trace", b"\x00\xff")


@pytest.fixture
def source(topic: TopicFactory) -> str:
    return topic(2)


@pytest.fixture
def letters(topic: TopicFactory) -> str:
    return topic(2, {"max.message.bytes": "3145728"})


@pytest.fixture
def options(broker: Broker, source: str, letters: str) -> dict[str, str]:
    return {
        "bootstrap_servers": broker.bootstrap_servers,
        "dead_letter_topic": letters,
        "input_topic": source,
        "resend_name": f"resend-{letters}",
    }


@pytest.fixture
def run(options: dict[str, str]) -> Resend:
    def call(**more: Any) -> int:
        return resend_dead_letters(ResendSettings.model_validate({**options, **more}))

    return call


@pytest.fixture
def send(broker: Broker, source: str, letters: str) -> Callable[..., None]:
    """Puts the dead letters of records into their topic."""
    return partial(send_letters, broker.bootstrap_servers, source, letters)


@pytest.fixture
def write_correction(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "fix.py"
        path.write_text(text)
        return path

    return write


def build_rows(count: int) -> list[Row]:
    """Records with a gender that the contract does not know."""
    return [(b"%06d" % it, record(customerID=f"{it:06d}", gender="M"), []) for it in range(count)]


def read_back(broker: Broker, topic: str) -> list[Row]:
    def as_row(message: Message) -> Row:
        return message.key() or b"", message.value(), read_headers(message)

    return sorted(map(as_row, read_topic(broker.bootstrap_servers, topic)), key=lambda row: row[0])


@pytest.mark.parametrize("style", DeadLetterFormat)
def test_records_come_back_byte_for_byte_and_counted(
    run: Resend,
    send: Callable[..., None],
    broker: Broker,
    source: str,
    style: DeadLetterFormat,
) -> None:
    values = [*(value for value, _ in BROKEN.values()), record()]  # the last has no probability
    rows: list[Row] = [(b"%06d" % it, value, [OWN_HEADER]) for it, value in enumerate(values)]
    send(rows, style)

    assert run() == 0

    own = [OWN_HEADER] if style is DeadLetterFormat.HEADERS else []
    found = read_back(broker, source)
    assert [(key, value) for key, value, _ in found] == [(key, value) for key, value, _ in rows]
    assert all(headers == [*own, (HEADER_RETRY_COUNT, b"1")] for _, _, headers in found)


def test_what_was_sent_and_came_back_is_left_alone(
    run: Resend,
    send: Callable[..., None],
    broker: Broker,
    source: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    send(build_rows(10))
    run()
    send(read_back(broker, source))
    capsys.readouterr()

    assert run() == 0

    output = capsys.readouterr().out
    assert "10 left alone: sent again before, as often as allowed" in output
    assert len(read_back(broker, source)) == 10
    assert run(max_retries=2, resend_name="another") == 0
    assert [headers for _, _, headers in read_back(broker, source)].count(
        [(HEADER_RETRY_COUNT, b"2")]
    ) == 10


def test_only_what_is_chosen_is_sent_and_a_dry_run_tells_it_before(
    run: Resend,
    send: Callable[..., None],
    broker: Broker,
    source: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    garbled: list[Row] = [(b"x", b"\xff", []), (b"y", b"{", [])]
    send([*build_rows(3), *garbled])

    assert run(rule="not_utf8,not_json", dry_run=True) == 0

    told = capsys.readouterr().out
    assert read_back(broker, source) == []
    assert run(rule="not_utf8,not_json") == 0
    assert [key for key, _, _ in read_back(broker, source)] == [b"x", b"y"]
    done = capsys.readouterr().out
    assert told.replace("would be sent again", "sent again").split() == done.split()
    assert done.splitlines()[1:] == [
        "          sent again | left alone | what is wrong, first of all",
        "                   1 |          0 | processing_error: record not_json",
        "                   1 |          0 | processing_error: record not_utf8",
        "                   0 |          3 | validation_error: gender not_allowed",
        "3 left alone: not among those chosen",
        f"2 sent again to {source}",
    ]
    assert run() == 0
    assert "0 dead letters" in capsys.readouterr().out


def test_a_correction_makes_the_values(
    run: Resend,
    send: Callable[..., None],
    broker: Broker,
    source: str,
    write_correction: Callable[[str], Path],
) -> None:
    send(build_rows(4))
    fix = write_correction(
        "def correct(letter):\n"
        "    if letter.key == b'000002': return None\n"
        "    return letter.value.replace(b'\"M\"', b'\"Male\"')\n"
    )

    assert run(correction=fix) == 0

    found = read_back(broker, source)
    assert [key for key, _, _ in found] == [b"000000", b"000001", b"000003"]
    assert {json.loads(value or b"")["gender"] for _, value, _ in found} == {"Male"}


def test_a_kill_leaves_neither_a_gap_nor_a_second_copy(
    run: Resend,
    options: dict[str, str],
    send: Callable[..., None],
    broker: Broker,
    source: str,
    write_correction: Callable[[str], Path],
) -> None:
    send(build_rows(3_500))
    fix = write_correction(
        "import itertools, os, signal\n"
        "calls = itertools.count(1)\n"
        "def correct(letter):\n"
        "    if next(calls) == 2_500: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return letter.value\n"
    )
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]

    killed = run_python("jobs/resend.py", *flags, f"--correction={fix}")
    first = len(read_back(broker, source))
    assert run() == 0

    assert killed.returncode == -signal.SIGKILL
    assert first == 2_000  # two whole transactions
    assert [key for key, _, _ in read_back(broker, source)] == [b"%06d" % it for it in range(3_500)]


def test_a_correction_that_fails_sends_nothing_of_its_transaction(
    run: Resend,
    send: Callable[..., None],
    broker: Broker,
    source: str,
    write_correction: Callable[[str], Path],
) -> None:
    send(build_rows(50))
    fix = write_correction(
        "def correct(letter):\n    return {b'000030': 1}.get(letter.key, letter.value)\n"
    )

    with pytest.raises(CorrectionError, match=r"returned int for the dead letter \[\d\]@\d+"):
        run(correction=fix)

    assert read_back(broker, source) == []
    assert run() == 0
    assert len(read_back(broker, source)) == 50


def test_a_second_one_under_the_same_name_stops_the_first(
    options: dict[str, str], run: Resend, send: Callable[..., None], broker: Broker, source: str
) -> None:
    send(build_rows(2_500))
    transactions = TransactionSettings(
        bootstrap_servers=options["bootstrap_servers"],
        query_name=options["resend_name"],
        source_topic=options["dead_letter_topic"],
    )

    def take_over() -> None:
        assert run() == 0

    with pytest.raises(SinkFencedError):
        resend(transactions, Selection(source), on_part=lambda _: take_over())

    assert [key for key, _, _ in read_back(broker, source)] == [b"%06d" % it for it in range(2_500)]


def test_what_the_input_topic_refuses_is_not_passed_over(
    run: Resend,
    send: Callable[..., None],
    broker: Broker,
    source: str,
    write_correction: Callable[[str], Path],
) -> None:
    send(build_rows(5))
    fix = write_correction("import os\ndef correct(letter): return os.urandom(2_000_000)\n")

    with pytest.raises(SinkRejectedError, match=r"raise max\.message\.bytes"):
        run(correction=fix)

    assert run() == 0
    assert len(read_back(broker, source)) == 5


def test_missing_topics_are_named(run: Resend) -> None:
    with pytest.raises(KafkaSetupError, match="topic no-such-input"):
        run(input_topic="no-such-input")
