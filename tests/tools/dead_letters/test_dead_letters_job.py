"""Dead letters of both formats are counted, listed and shown, on a real broker."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from jobs.dead_letters import manage_dead_letters
from lib.errors import SettingsError, SourceError
from lib.messages.dead_letter import DeadLetterFormat
from lib.settings.jobs.dead_letters import DeadLettersSettings
from lib.settings.load import load_settings
from tests.support.letters import Row, send_letters
from tests.support.records import record
from tests.support.topics import produce

if TYPE_CHECKING:
    from lib.tools.broker import Broker
    from tests.conftest import TopicFactory

Run = Callable[..., list[str]]

ROWS: list[Row] = [
    (b"0001", record(gender="M\x1b[2J"), [("trace", b"\x00\xff")]),
    (b"0002", b'{"customerID": "0002"', []),
    (b"\xff", b"\x1f\x8b\x08\x00\x00", []),
    (b"0001", record(gender="M", tenure=-1), []),
]


@pytest.fixture
def letters(topic: TopicFactory) -> str:
    return topic(1, {"max.message.bytes": "3145728"})


@pytest.fixture
def run(broker: Broker, letters: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command and returns the printed lines."""

    def call(command: str, *places: str, **more: Any) -> list[str]:
        options = {
            "bootstrap_servers": broker.bootstrap_servers,
            "dead_letter_topic": letters,
            "input_topic": "raw",
            "command": command,
            "places": list(places),
        }
        settings = DeadLettersSettings.model_validate({**options, **more})
        assert manage_dead_letters(settings) == 0
        return capsys.readouterr().out.splitlines()

    return call


@pytest.mark.parametrize("style", DeadLetterFormat)
def test_letters_of_both_formats_are_counted_listed_and_shown(
    run: Run, broker: Broker, letters: str, style: DeadLetterFormat
) -> None:
    servers = broker.bootstrap_servers
    send_letters(servers, "raw", letters, ROWS, style)
    send_letters(servers, "elsewhere", letters, ROWS[:1], style)
    produce(servers, letters, [(b"key", b"hello")])
    has_place = style is DeadLetterFormat.HEADERS

    (line,) = run("stats", format="json")
    counts = json.loads(line)
    assert (counts["letters"], counts["left_out"]) == (4, {"of_other_topic": 1, "unreadable": 1})
    assert [(it["rule"], it["field"], it["letters"]) for it in counts["causes"]] == [
        ("not_allowed", "gender", 2),
        ("not_json", None, 1),
        ("not_utf8", None, 1),
        ("out_of_range", "tenure", 1),
    ]
    assert counts["causes"][0]["newest"] == ["0@3", "0@0"]
    assert run("stats")[0].startswith(f"4 dead letters in {letters}, from 20")

    listed = run("list")
    source = "raw 0@" if has_place else "raw "
    assert [line.split("  ")[0] for line in listed] == ["letter", "0@0", "0@1", "0@2", "0@3"]
    assert source in listed[1]
    assert "base64:/w==" in listed[3]
    assert listed[4].endswith("0001         validation_error: gender not_allowed")
    assert [line.split()[0] for line in run("list", limit=2)] == ["letter", "0@2", "0@3"]

    # One choice for all commands.
    assert [json.loads(it)["offset"] for it in run("list", key=["0001"], format="json")] == [0, 3]
    assert [json.loads(it)["offset"] for it in run("show", key=["base64:/w=="], format="json")] == [
        2
    ]
    assert [json.loads(it)["offset"] for it in run("list", field=["tenure"], format="json")] == [3]
    assert run("list", since="1d")[1:] == listed[1:]
    assert run("list", until="1d") == []
    assert (run("list", source_partitions="0") == listed) is has_place
    assert run("list", source_partitions="1") == []

    shown = run("show", "0@0", "0@2")
    assert all(line.isprintable() for line in shown)
    gender = next(number for number, line in enumerate(shown) if '"gender"' in line)
    assert shown[gender : gender + 2] == [
        r'      "gender": "M\u001b[2J",',
        rf'                {"^" * 12} gender not_allowed: found "M\u001b[2J", expected one of'
        ' "Female", "Male"',
    ]
    assert ("header   trace: AP8= (base64)" in shown) is has_place
    assert "hint     looks like compressed bytes: let Kafka compress instead" in "\n".join(shown)
    assert shown[-3:] == [
        "value    5 bytes",
        r"    \x1f\x8b\x08\x00\x00",
        "        ^ not_utf8: found 5 bytes, expected UTF-8 text",
    ]
    whole = json.loads(run("show", "0@0", format="json")[0])
    assert whole["original_message"].encode() == record(gender="M\x1b[2J")
    assert whole["violations"][0]["field"] == "gender"
    assert (whole["source_offset"], whole["key"]) == (0 if has_place else None, "0001")

    with pytest.raises(SourceError, match=r"0@5: .*neither|0@5: "):
        run("show", "0@5")
    with pytest.raises(SourceError, match=r"0@6: no such offset, found 0 to 6 \(excluded\)"):
        run("show", "0@6")
    with pytest.raises(SourceError, match=r"3@0: the topic has no such partition"):
        run("show", "3@0")


def test_a_topic_without_letters_is_no_error(run: Run, letters: str) -> None:
    assert run("stats") == [f"0 dead letters in {letters}"]
    assert run("list") == []
    assert run("show") == [f"none of the dead letters in {letters} is chosen"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "0@1"], "list takes no place, found 0@1"),
        (["show", "1"], "show takes PARTITION@OFFSET, like 0@19, found 1"),
        (["stats", "--dry-run"], "--dry-run goes with resend only, found stats"),
        (["list", "--since", "yesterday"], "--since: expected a time in UTC"),
        (["list", "--source-partitions", "a"], "--source-partitions: expected all, or numbers"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        load_settings(DeadLettersSettings, arguments, {})

    assert refusal.value.message.startswith(message)
