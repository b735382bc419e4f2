"""The summary that the demonstration ends with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.messages.dead_letter import DeadLetter
from lib.settings.jobs.demo import DemoSettings
from lib.setup.places import PROJECT_ROOT
from lib.tools.demo.comparison import Comparison
from lib.tools.demo.output import Output, format_prediction
from lib.tools.demo.topics import Arrivals, Topics

_SAMPLES = 5
_MAX_MESSAGE_CHARS = 96


@dataclass(frozen=True)
class Measurement:
    """The figures that were measured while the job ran.

    Attributes:
        backlog: the number of records that were sent at once.
        backlog_s: the seconds from the first answer to them to the last.
        after_first: the number of answers in that time, without those of the first batch.
        latencies_s: the seconds from sending to a reader of the output, for each record of the
            steady phase.
    """

    backlog: int
    backlog_s: float
    after_first: int
    latencies_s: Sequence[float]


def print_summary(
    output: Output,
    settings: DemoSettings,
    topics: Topics,
    comparison: Comparison,
    measured: Measurement,
    arrivals: Arrivals,
    places: dict[str, Path | str],
) -> None:
    """Print counts, speed, samples of messages, and where everything is."""
    output.print_list("Exactly once", _comparison_lines(comparison))
    output.print_list(
        "Speed of this short run (a fresh JVM; `make bench` measures properly)",
        _speed_lines(measured, settings),
    )
    output.print_list(
        "Predictions", [format_prediction(p) for p in list(arrivals.recent)[-_SAMPLES:]]
    )
    output.print_list(
        "Dead letters (their bytes are kept; why is in the headers)",
        [_format_letter(letter) for letter in list(arrivals.letters.values())[:_SAMPLES]],
    )
    output.print_list("Where things are", _place_lines(topics, places))


def list_next_steps(settings: DemoSettings, topics: Topics) -> list[str]:
    """Return commands that work now, each with what it does."""
    if settings.keep:
        produce = ".venv/bin/python jobs/produce.py"
        servers = topics.cluster.bootstrap_servers
        target = f"--bootstrap-servers {servers} --input-topic {topics.records}"
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


def _comparison_lines(comparison: Comparison) -> Iterator[str]:
    returned = comparison.predictions + comparison.dead_letters
    sign = "=" if comparison.sent == returned else "≠"
    yield (
        f"{comparison.sent:,} records in {sign} {comparison.predictions:,} predictions"
        f" + {comparison.dead_letters:,} dead letters out"
    )
    if comparison.is_complete:
        yield "every key came back once; every dead letter has the bytes that were sent"
    yield from (f"WRONG: {problem}" for problem in comparison.problems)


def _speed_lines(measured: Measurement, settings: DemoSettings) -> Iterator[str]:
    if measured.after_first and measured.backlog_s > 0:
        rate = measured.after_first / measured.backlog_s
        yield f"{measured.backlog:,} records that were waiting: {rate:,.0f}/s after the first batch"
    median_ms, high_ms = (
        np.quantile(measured.latencies_s, (0.5, 0.99), method="inverted_cdf") * 1000
    )
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


def _place_lines(topics: Topics, places: dict[str, Path | str]) -> Iterator[str]:
    rows = {
        "Kafka": topics.cluster.bootstrap_servers,
        "topics": f"{topics.records} → {topics.predictions}, {topics.dead_letters}",
        **{name: str(path) for name, path in places.items()},
        "documents": f"{PROJECT_ROOT / 'README.md'} and docs/",
    }
    for name, place in rows.items():
        yield f"{name:<12}{place}"
