"""Dead letters are sent again, on a real broker."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Message, TopicPartition
from confluent_kafka.admin import NewPartitions

from jobs.dead_letters import manage_dead_letters
from jobs.offsets import manage_offsets
from jobs.resend import resend_dead_letters
from lib.errors import (
    CorrectionError,
    KafkaSetupError,
    ResendRefusedError,
    SinkFencedError,
    SinkRejectedError,
)
from lib.exactly_once.offsets.stamp import Author
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.exactly_once.transaction.writer import TransactionalWriter
from lib.kafka.admin import build_admin, read_topic_id
from lib.kafka.cluster import Cluster
from lib.messages.dead_letter import (
    HEADER_RETRY_COUNT,
    DeadLetterFormat,
)
from lib.messages.header_text import Header
from lib.settings.jobs.dead_letters import DeadLettersSettings
from lib.settings.jobs.offsets import OffsetsSettings
from lib.settings.jobs.resend import ResendSettings
from lib.tools.dead_letters.parts import Plan
from lib.tools.dead_letters.resend import resend
from lib.tools.dead_letters.selection import Selection
from tests.support.consumer_groups import (
    delete_group,
    delete_offsets,
    list_positions,
    read_group,
)
from tests.support.letters import Row, send_letters
from tests.support.process import run_python
from tests.support.records import BROKEN, record
from tests.support.topics import read_headers, read_topic

if TYPE_CHECKING:
    from lib.tools.broker import Broker
    from tests.conftest import TopicFactory

Resend = Callable[..., int]
ReadBack = Callable[[], list[Row]]
OWN_HEADER: Header = ("trace", b"\x00\xff")
TRACE: Header = ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


@pytest.fixture
def source(topic: TopicFactory) -> str:
    return topic(2)


@pytest.fixture
def letters(topic: TopicFactory) -> str:
    return topic(2, {"max.message.bytes": "3145728"})


@pytest.fixture
def name(letters: str) -> str:
    """Return the name of the consumer group."""
    return f"resend-{letters}"


@pytest.fixture
def options(broker: Broker, source: str, letters: str, name: str) -> dict[str, str]:
    return {
        "bootstrap_servers": broker.bootstrap_servers,
        "dead_letter_topic": letters,
        "input_topic": source,
        "resend_name": name,
    }


@pytest.fixture
def flags(options: dict[str, str]) -> list[str]:
    """Return the options as flags, for the job as a separate process."""
    return [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]


@pytest.fixture
def run(options: dict[str, str]) -> Resend:
    def call(**more: Any) -> int:
        return resend_dead_letters(ResendSettings.model_validate({**options, **more}))

    return call


@pytest.fixture
def send(broker: Broker, source: str, letters: str) -> Callable[..., None]:
    """Return a function that writes the dead letters of records to their topic."""
    return partial(send_letters, broker.bootstrap_servers, source, letters)


@pytest.fixture
def read_back(broker: Broker, source: str) -> ReadBack:
    """Return a function that reads what is in the input topic, sorted by key."""

    def as_row(message: Message) -> Row:
        return message.key() or b"", message.value(), read_headers(message)

    def read() -> list[Row]:
        found = map(as_row, read_topic(broker.bootstrap_servers, source))
        return sorted(found, key=lambda row: row[0])

    return read


@pytest.fixture
def write_correction(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "fix.py"
        path.write_text(text)
        return path

    return write


def build_rows(count: int) -> list[Row]:
    """Build records with a gender that the contract does not know."""
    return [(b"%06d" % it, record(customerID=f"{it:06d}", gender="M"), []) for it in range(count)]


@pytest.mark.parametrize("style", DeadLetterFormat)
def test_records_come_back_byte_for_byte_and_counted(
    run: Resend,
    send: Callable[..., None],
    read_back: ReadBack,
    style: DeadLetterFormat,
) -> None:
    # The last record has no probability.
    values = [*(value for value, _ in BROKEN.values()), record()]
    own = [OWN_HEADER, TRACE]
    rows: list[Row] = [(b"%06d" % it, value, own) for it, value in enumerate(values)]
    send(rows, style)

    assert run(from_beginning=True) == 0

    kept = own if style is DeadLetterFormat.HEADERS else [TRACE]
    found = read_back()
    assert [(key, value) for key, value, _ in found] == [(key, value) for key, value, _ in rows]
    assert all(headers == [*kept, (HEADER_RETRY_COUNT, b"1")] for _, _, headers in found)


def test_what_was_sent_and_came_back_is_left_alone(
    run: Resend,
    send: Callable[..., None],
    read_back: ReadBack,
    source: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    send(build_rows(10))
    run(from_beginning=True)
    send(read_back())
    capsys.readouterr()

    assert run() == 0

    output = capsys.readouterr().out
    assert "10 left alone: sent again before, as often as allowed" in output
    assert len(read_back()) == 10
    assert run(max_retries=2, resend_name=f"another-{source}", from_beginning=True) == 0
    assert [headers for _, _, headers in read_back()].count([(HEADER_RETRY_COUNT, b"2")]) == 10


def test_only_what_is_chosen_is_sent_and_a_dry_run_tells_it_before(
    run: Resend,
    send: Callable[..., None],
    read_back: ReadBack,
    source: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    garbled: list[Row] = [(b"x", b"\xff", []), (b"y", b"{", [])]
    send([*build_rows(3), *garbled])

    assert run(rule=["not_utf8", "not_json"], dry_run=True, from_beginning=True) == 0

    told = capsys.readouterr().out
    assert read_back() == []
    assert run(rule=["not_utf8", "not_json"], from_beginning=True) == 0
    assert [key for key, _, _ in read_back()] == [b"x", b"y"]
    done = capsys.readouterr().out
    *count, sent, position = done.splitlines()
    assert told.splitlines() == count, "it is told before it is done"
    assert sent == f"2 sent again to {source}"
    assert re.fullmatch(r"resend-\S+ has read \S+ up to \[0\]@\d, \[1\]@\d", position)
    assert count[1:] == [
        "would be sent again  valid now  left alone  what is wrong, first of all",
        "                  1          0           0  processing_error: record not_json",
        "                  1          0           0  processing_error: record not_utf8",
        "                  0          0           3  validation_error: gender not_allowed",
        "3 left alone: not among those chosen",
        f"2 would be sent again to {source}, 0 of them valid by contract telco-churn",
        "1 would become dead letters again: processing_error: record not_json",
        "1 would become dead letters again: processing_error: record not_utf8",
    ]
    assert run() == 0
    assert "0 dead letters" in capsys.readouterr().out


def test_a_correction_makes_the_values(
    run: Resend,
    send: Callable[..., None],
    read_back: ReadBack,
    write_correction: Callable[[str], Path],
    options: dict[str, str],
    source: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    send(build_rows(5))
    fix = write_correction(
        "def correct(letter):\n"
        "    if letter.key == b'000002': return None\n"
        "    value = letter.value.replace(b'\"M\"', b'\"Male\"')\n"
        "    return value.replace(b'tenure', b'time') if letter.key == b'000004' else value\n"
    )

    assert run(correction=fix, dry_run=True, from_beginning=True) == 0

    assert capsys.readouterr().out.splitlines()[1:] == [
        "would be sent again  valid now  left alone  what is wrong, first of all",
        "                  4          3           1  validation_error: gender not_allowed",
        "1 left alone: left out by the correction",
        f"4 would be sent again to {source}, 3 of them valid by contract telco-churn",
        "1 would become dead letters again: validation_error: tenure missing",
    ]
    assert read_back() == []
    assert run(correction=fix, from_beginning=True) == 0
    found = read_back()
    assert [key for key, _, _ in found] == [b"000000", b"000001", b"000003", b"000004"]
    assert {json.loads(value or b"")["gender"] for _, value, _ in found} == {"Male"}

    # The other name of the command reads the same positions, and prints for programs too.
    send(build_rows(1))
    capsys.readouterr()
    more = {"command": "resend", "format": "json", "correction": fix, "key": ["000000"]}
    assert manage_dead_letters(DeadLettersSettings.model_validate({**options, **more})) == 0
    preview, sent = map(json.loads, capsys.readouterr().out.splitlines())
    cause = "validation_error: gender not_allowed"
    assert preview == {
        "action": "preview",
        "read": 1,
        "sent": 1,
        "valid": 1,
        "contract": "telco-churn",
        "left_alone": {},
        "still_wrong": {},
        "causes": [{"cause": cause, "sent": 1, "still_wrong": {}}],
    }
    assert (sent["action"], sent["sent"], sum(sent["positions"].values())) == ("resend", 1, 6)


def test_a_kill_leaves_neither_a_gap_nor_a_second_copy(
    run: Resend,
    flags: list[str],
    send: Callable[..., None],
    read_back: ReadBack,
    write_correction: Callable[[str], Path],
) -> None:
    send(build_rows(3_500))
    fix = write_correction(
        "import itertools, os, signal\n"
        "calls = itertools.count(1)\n"
        "def correct(letter):\n"
        "    if next(calls) == 3_500 + 2_500: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return letter.value\n"
    )

    killed = run_python("jobs/resend.py", *flags, f"--correction={fix}", "--from-beginning")
    first = len(read_back())
    assert run() == 0

    assert killed.returncode == -signal.SIGKILL
    assert first == 2_000  # these are two whole transactions
    assert [key for key, _, _ in read_back()] == [b"%06d" % it for it in range(3_500)]


def test_a_correction_that_fails_sends_nothing_of_its_transaction(
    run: Resend,
    send: Callable[..., None],
    read_back: ReadBack,
    write_correction: Callable[[str], Path],
) -> None:
    send(build_rows(50))
    fix = write_correction(
        "def correct(letter):\n    return {b'000030': 1}.get(letter.key, letter.value)\n"
    )

    with pytest.raises(CorrectionError, match=r"returned int for the dead letter \[\d\]@\d+"):
        run(correction=fix, from_beginning=True)

    assert read_back() == []
    assert run(from_beginning=True) == 0, "nothing is remembered of it either"
    assert len(read_back()) == 50


def test_a_second_one_under_the_same_name_stops_the_first(
    run: Resend,
    letters: str,
    name: str,
    send: Callable[..., None],
    read_back: ReadBack,
    broker: Broker,
    source: str,
) -> None:
    send(build_rows(2_500))
    transactions = TransactionSettings(broker.bootstrap_servers, name, letters)

    def take_over() -> None:
        assert run() == 0

    with pytest.raises(SinkFencedError):
        resend(
            build_admin(broker.cluster),
            transactions,
            Plan(Selection(source)),
            from_beginning=True,
            on_part=lambda _: take_over(),
        )

    assert [key for key, _, _ in read_back()] == [b"%06d" % it for it in range(2_500)]


def test_what_the_input_topic_refuses_is_not_passed_over(
    run: Resend,
    send: Callable[..., None],
    read_back: ReadBack,
    write_correction: Callable[[str], Path],
) -> None:
    send(build_rows(5))
    fix = write_correction("import os\ndef correct(letter): return os.urandom(2_000_000)\n")

    with pytest.raises(SinkRejectedError, match=r"raise max\.message\.bytes"):
        run(correction=fix, from_beginning=True)

    assert run() == 0
    assert len(read_back()) == 5


def test_missing_topics_are_named(run: Resend) -> None:
    with pytest.raises(KafkaSetupError, match="topic no-such-input"):
        run(input_topic="no-such-input")


def test_letters_are_not_sent_twice_because_the_positions_have_expired(
    run: Resend,
    letters: str,
    name: str,
    send: Callable[..., None],
    read_back: ReadBack,
    broker: Broker,
    capsys: pytest.CaptureFixture[str],
) -> None:
    servers = broker.bootstrap_servers
    send(build_rows(10))
    run(from_beginning=True)
    printed = capsys.readouterr().out.splitlines()[-1]
    # Deleting the group has the same result as the end of the offsets' retention.
    delete_group(servers, name)
    send(build_rows(20)[10:])

    for dry_run in (True, False):
        with pytest.raises(ResendRefusedError) as refusal:
            run(dry_run=dry_run)
        assert refusal.value.message == (
            f"group {name} has no position in the partitions [0], [1] of {letters}: it has not read"
            " them yet, or its positions were deleted or have expired"
        )

    assert len(read_back()) == 10
    # The remedy of docs/dead_letters.md sets the positions that the last run printed.
    positions = re.findall(r"\[(\d)\]@(\d+)", printed)
    manage_positions(servers, name, letters, "set", to=",".join(map(":".join, positions)))
    assert run() == 0
    assert [key for key, _, _ in read_back()] == [b"%06d" % it for it in range(20)]


def test_the_position_of_one_partition_that_was_lost_is_missed(
    run: Resend,
    letters: str,
    name: str,
    send: Callable[..., None],
    read_back: ReadBack,
    broker: Broker,
) -> None:
    servers = broker.bootstrap_servers
    send(build_rows(10))
    run(from_beginning=True)
    position = read_group(servers, name)[letters, 0]
    delete_offsets(servers, name, letters, [1])

    with pytest.raises(ResendRefusedError) as refusal:
        run()

    assert refusal.value.message == (
        f"group {name} has no position in the partitions [1] of {letters}, those of [0]@{position}"
        " are there: it has not read them yet, or its positions were deleted or have expired"
    )
    assert len(read_back()) == 10


def test_every_run_commits_every_partition_and_a_new_one_is_known_as_such(
    run: Resend,
    letters: str,
    name: str,
    send: Callable[..., None],
    read_back: ReadBack,
    broker: Broker,
) -> None:
    servers = broker.bootstrap_servers

    assert run() == 0  # there are no letters, so none can be sent twice

    assert read_group(servers, name) == {(letters, 0): 0, (letters, 1): 0}
    first = read_metadata(servers, name)
    assert run() == 0
    assert read_metadata(servers, name).keys() == {(letters, 0), (letters, 1)}
    # The stamps were renewed.
    assert set(read_metadata(servers, name).values()).isdisjoint(first.values())
    add_partitions(servers, letters, 3)
    send(build_rows(30))
    assert run() == 0
    assert len(read_back()) == 30
    assert read_group(servers, name).keys() == {(letters, it) for it in range(3)}


def test_the_flag_of_the_first_run_cannot_stay_in_a_script(
    flags: list[str],
    letters: str,
    name: str,
    send: Callable[..., None],
    read_back: ReadBack,
    broker: Broker,
) -> None:
    send(build_rows(10))

    first = run_python("jobs/resend.py", *flags)
    second = run_python("jobs/resend.py", *flags, "--from-beginning")
    third = run_python("jobs/resend.py", *flags, "--from-beginning")

    assert (first.returncode, first.stdout) == (1, "")
    assert first.stderr == (
        f"error: group {name} has no position in the partitions [0], [1] of {letters}: it has not"
        " read them yet, or its positions were deleted or have expired (if this is the first run"
        " under this name, add --from-beginning; if it is not, that would send letters a second"
        " time: set the positions to what the last run printed, see 'Sending them again' in"
        " docs/dead_letters.md)\n"
    )
    assert (second.returncode, second.stderr) == (0, "")
    found = read_group(broker.bootstrap_servers, name)
    positions = ", ".join(f"[{it}]@{at}" for (_, it), at in sorted(found.items()))
    assert second.stdout.splitlines()[-1] == f"{name} has read {letters} up to {positions}"
    assert (third.returncode, third.stdout) == (1, "")
    assert third.stderr == (
        f"error: --from-beginning is for the first run under a name, but group {name} has read"
        f" {letters} before, up to {positions} (leave it out to go on from there; another"
        " --resend-name starts over, and sends every letter again)\n"
    )
    assert len(read_back()) == 10


def test_the_name_of_a_query_is_refused_before_its_job_is_ended(
    run: Resend, send: Callable[..., None], broker: Broker, source: str
) -> None:
    send(build_rows(10))
    query = TransactionSettings(broker.bootstrap_servers, f"query-{source}", source)
    admin = build_admin(query.cluster)
    author = Author("host:1:aa", read_topic_id(admin, source))
    writer = TransactionalWriter(query, author=author)
    writer.open()
    writer.claim({0: 0, 1: 0}, query_id="d1a9e2b6")

    with pytest.raises(ResendRefusedError) as refusal:
        run(resend_name=query.query_name, from_beginning=True)

    assert refusal.value.message == (
        f"--resend-name {query.query_name} is the name of a query that reads {source}: letters that"
        " are sent under it would end its job, run host:1:aa"
    )
    writer.write(None, {0: 1, 1: 0}, batch_id=0, query_id="d1a9e2b6")  # the query is not fenced
    writer.close()


def test_a_topic_of_dead_letters_that_was_recreated_is_not_read_from_the_old_position(
    run: Resend, letters: str, name: str, send: Callable[..., None], broker: Broker
) -> None:
    servers = broker.bootstrap_servers
    send(build_rows(10))
    run(from_beginning=True)
    metadata = read_metadata(servers, name)
    # This is the state after a topic was deleted and recreated: Kafka deletes the offsets in the
    # end, but a run may still meet them.
    admin = build_admin(Cluster(servers))
    old_id = read_topic_id(admin, letters)
    moved = [
        TopicPartition(letters, it, 1, text.replace(old_id, "0" * 32))
        for (_, it), text in metadata.items()
    ]
    admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(name, moved)])[name].result()

    with pytest.raises(ResendRefusedError, match=r"was committed for another topic of that name"):
        run()

    manage_positions(servers, name, letters, "delete")
    assert run(from_beginning=True) == 0


def manage_positions(servers: str, name: str, letters: str, action: str, **more: str) -> None:
    """Change the positions of the name with ``jobs/offsets.py``."""
    named = {"bootstrap_servers": servers, "query_name": name, "input_topic": letters}
    settings = OffsetsSettings.model_validate({"action": action, **named, **more})
    assert manage_offsets(settings) == 0


def read_metadata(servers: str, group: str) -> dict[tuple[str, int], str]:
    found = list_positions(servers, group)
    return {(it.topic, it.partition): it.metadata or "" for it in found}


def add_partitions(servers: str, topic: str, total: int) -> None:
    admin = build_admin(Cluster(servers))
    admin.create_partitions([NewPartitions(topic, total)])[topic].result()
