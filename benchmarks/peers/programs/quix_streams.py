"""Score with Quix Streams: each record passes a function, at least or exactly once.

A record is parsed, checked as :mod:`benchmarks.hand_checks` does, and scored alone, because a
function of Quix gets one record. One that cannot be scored goes to the topic of dead letters as it
came, with the reasons in a header. Quix commits messages and offsets of all partitions together.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from quixstreams import Application

from benchmarks.hand_checks import find_violations
from benchmarks.hand_scorer import Scorer


class Answer(NamedTuple):
    """The answer to one record.

    Attributes:
        text: the prediction; None for a record that cannot be scored.
        value: the record as it came.
        reasons: the reasons why it cannot be scored.
    """

    text: str | None
    value: bytes
    reasons: str


def answer(scorer: Scorer, value: bytes) -> Answer:
    """Score one record, or say why that cannot be done."""
    try:
        record = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        return Answer(None, value, str(error))
    if not isinstance(record, dict):
        return Answer(None, value, "expected a JSON object")
    if violations := find_violations(record):
        return Answer(None, value, "; ".join(violations))
    return Answer(scorer.score_record(record), b"", "")


def add_reasons(found: Answer, key: Any, timestamp: int, headers: Any) -> list[tuple[str, bytes]]:
    """Return the headers of a dead letter: those that it had, and the reasons."""
    return [*(headers or ()), ("reasons", found.reasons.encode())]


def main() -> None:
    """Consume, score and produce; Quix commits."""
    (servers, source, sink, group, model, threshold, folder) = sys.argv[1:8]
    guarantee, interval_s, dead_letters = sys.argv[8:]
    scorer = Scorer(Path(model), float(threshold), "quix-streams")
    application = Application(
        broker_address=servers,
        consumer_group=group,
        auto_offset_reset="earliest",
        processing_guarantee=guarantee,
        commit_interval=float(interval_s),
        state_dir=folder,
        loglevel="WARNING",
    )
    records = application.dataframe(application.topic(source, value_deserializer="bytes"))
    answers = records.apply(lambda value: answer(scorer, value))
    predictions = answers.filter(lambda it: it.text is not None).apply(lambda it: it.text)
    predictions.to_topic(application.topic(sink, value_serializer="str"))
    rejected = answers.filter(lambda it: it.text is None).set_headers(add_reasons)
    rejected.apply(lambda it: it.value).to_topic(
        application.topic(dead_letters, value_serializer="bytes")
    )
    application.run()


if __name__ == "__main__":
    main()
