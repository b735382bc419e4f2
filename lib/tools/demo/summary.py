"""The closing words of the demonstration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.messages.dead_letter import DeadLetter
from lib.settings.jobs.demo import DemoSettings
from lib.setup.places import PROJECT_ROOT
from lib.tools.demo.account import Balance, find_quantile
from lib.tools.demo.narrator import Narrator
from lib.tools.demo.topics import Topics
from lib.tools.demo.view import format_prediction
from lib.tools.demo.watcher import Arrivals

_SAMPLES = 5
_MAX_MESSAGE_CHARS = 96


@dataclass(frozen=True)
class Measurement:
    """What was measured on the way.

    Attributes:
        backlog: records sent at once.
        backlog_s: from the first answer to them to the last.
        after_first: answers in that time.
        latencies_s: of the records of the steady phase, from sending to a reader of the output.
    """

    backlog: int
    backlog_s: float
    after_first: int
    latencies_s: Sequence[float]


def tell_summary(
    narrator: Narrator,
    settings: DemoSettings,
    topics: Topics,
    balance: Balance,
    measured: Measurement,
    arrivals: Arrivals,
    places: dict[str, Path],
) -> None:
    """Counts, speed, samples, places."""
    narrator.list("Exactly once", _balance_lines(balance))
    narrator.list(
        "Speed of this short run (a fresh JVM; `make bench` measures properly)",
        _speed_lines(measured, settings),
    )
    narrator.list("Predictions", [format_prediction(p) for p in list(arrivals.recent)[-_SAMPLES:]])
    narrator.list(
        "Dead letters (their bytes are kept; why is in the headers)",
        [_format_letter(letter) for letter in list(arrivals.letters.values())[:_SAMPLES]],
    )
    narrator.list("Where things are", _place_lines(topics, places))


def list_next_steps(settings: DemoSettings, topics: Topics) -> list[str]:
    """Commands that work now."""
    if settings.keep:
        produce = ".venv/bin/python jobs/produce.py"
        target = f"--bootstrap-servers {topics.bootstrap_servers} --input-topic {topics.records}"
        return [
            f"{produce} {target} --count 1000 --rate 100 --bad-share 0.05",
            "  sends more records; run it in another terminal and watch them arrive here",
            "Ctrl-C  ends the job and the demonstration",
        ]
    commands = {
        "make demo ARGS=--keep": "keep broker and job running, send your own",
        "KAFKA_BOOTSTRAP_SERVERS=host:9092 make demo": "the same on your Kafka",
        ".venv/bin/python jobs/train.py --help": "train on your data",
        "./spark-submit.sh jobs/score_stream.py --help": "score your topic",
        "make test": "run all tests, crashes included",
    }
    return [f"{command:<47}{purpose}" for command, purpose in commands.items()]


def _balance_lines(balance: Balance) -> Iterator[str]:
    returned = balance.predictions + balance.dead_letters
    sign = "=" if balance.sent == returned else "≠"
    yield (
        f"{balance.sent:,} records in {sign} {balance.predictions:,} predictions"
        f" + {balance.dead_letters:,} dead letters out"
    )
    if balance.is_even:
        yield "every key came back once; every dead letter has the bytes that were sent"
    yield from (f"WRONG: {problem}" for problem in balance.problems)


def _speed_lines(measured: Measurement, settings: DemoSettings) -> Iterator[str]:
    if measured.after_first and measured.backlog_s > 0:
        rate = measured.after_first / measured.backlog_s
        yield f"{measured.backlog:,} records that were waiting: {rate:,.0f}/s after the first batch"
    median_ms = find_quantile(measured.latencies_s, 0.5) * 1000
    high_ms = find_quantile(measured.latencies_s, 0.99) * 1000
    yield (
        f"{len(measured.latencies_s):,} records at {settings.steady_rate:g}/s, from sending to a"
        f" read_committed reader: half within {median_ms:,.0f} ms, 99 % within {high_ms:,.0f} ms"
    )


def _format_letter(letter: DeadLetter) -> str:
    key = "-" if letter.key is None else letter.key.decode(errors="replace")
    message = " ".join(letter.message.split())
    if len(message) > _MAX_MESSAGE_CHARS:
        message = message[: _MAX_MESSAGE_CHARS - 2] + " …"
    position = f"{letter.source_partition}@{letter.source_offset}"
    return f"{key}  {position:<8}  {letter.error_type}: {message}"


def _place_lines(topics: Topics, places: dict[str, Path]) -> Iterator[str]:
    rows = {
        "Kafka": topics.bootstrap_servers,
        "topics": f"{topics.records} → {topics.predictions}, {topics.dead_letters}",
        **{name: str(path) for name, path in places.items()},
        "documents": f"{PROJECT_ROOT / 'README.md'} and docs/",
    }
    for name, place in rows.items():
        yield f"{name:<12}{place}"
