"""The consumer that a good programmer would write by hand, for comparison.

One loop a process, each with its share of the partitions: consume 10,000 records, parse them, score
them with one call of the model, and write predictions and offsets in one Kafka transaction. The
client's settings are the job's, or more generous.

It does less than the job, in the loop's favour: records are not checked against the contract (only
those that are no JSON object with all fields become dead letters), nothing is retried, no fenced or
stuck client is replaced, and nothing is reported. It ends where the topic ended at its start.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import joblib
import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # ships no types
import orjson
import pandas as pd
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from lib.contract import CUSTOMER
from lib.scoring.artefact import find_artefact
from lib.scoring.onnx_model import CATEGORIES_KEY, OUTPUT
from lib.store.version import ONNX_ARTEFACT, SKLEARN_ARTEFACT

BATCH_RECORDS = 10_000
_POLL_S = 1.0
_TIMEOUT_S = 30.0
_BLANKS = {field.name: field.blank for field in CUSTOMER.numeric if field.blank is not None}
# One call in C for all fields of a record.
_read = itemgetter(*CUSTOMER.feature_names, CUSTOMER.identifier.name, CUSTOMER.event_time.name)
_UNREADABLE = (orjson.JSONDecodeError, KeyError, TypeError)
# The fields of lib.messages.Prediction. Formatting is twice as fast as encoding a dict.
_PREDICTION = (
    '{"customerID":"%s","churn_probability":%.6f,"prediction":"%s","event_ts":"%s"'
    ',"processed_ts":"%s","model_version":"%s"}'
)


@dataclass(frozen=True)
class LoopSettings:
    """Attributes: see the command line; ``group`` also begins the transactional ids."""

    bootstrap_servers: str
    input_topic: str
    output_topic: str
    dead_letter_topic: str
    group: str
    model: Path
    kind: str = "sklearn"


class SklearnModel:
    """One call of the pipeline for a batch of columns."""

    def __init__(self, path: Path) -> None:
        self._pipeline = joblib.load(path)

    def score(self, columns: dict[str, Sequence[Any]]) -> list[float]:
        """Probability of each row."""
        frame = pd.DataFrame(columns)
        for name, blank in _BLANKS.items():
            frame[name] = pd.to_numeric(frame[name], errors="coerce").fillna(blank)
        probabilities: list[float] = self._pipeline.predict_proba(frame)[:, 1].tolist()
        return probabilities


class OnnxModel:
    """One call of onnxruntime for a batch of columns."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self._codes = {
            name: {value: code for code, value in enumerate(values)}
            for name, values in json.loads(metadata[CATEGORIES_KEY]).items()
        }
        self._types = {
            node.name: np.int64 if node.type == "tensor(int64)" else np.float32
            for node in self._session.get_inputs()
        }

    def score(self, columns: dict[str, Sequence[Any]]) -> list[float]:
        """Probability of each row."""
        feed = {}
        for name, column in columns.items():
            values = column
            if name in self._codes:
                codes = self._codes[name]
                values = [codes.get(value, -1) for value in column]
            elif name in _BLANKS:
                values = [float(value) if value != " " else _BLANKS[name] for value in column]
            feed[name] = np.array(values, dtype=self._types[name]).reshape(-1, 1)
        probabilities: list[float] = self._session.run([OUTPUT], feed)[0][:, 1].tolist()
        return probabilities


_MODELS: dict[str, tuple[type[SklearnModel | OnnxModel], str]] = {
    "sklearn": (SklearnModel, SKLEARN_ARTEFACT),
    "onnx": (OnnxModel, ONNX_ARTEFACT),
}


class Scorer:
    """Scores batches of messages. One a process.

    Args:
        model: a stored version, or the file of its artefact.
        kind: "sklearn" or "onnx".
    """

    def __init__(self, model: Path, kind: str = "sklearn") -> None:
        build, name = _MODELS[kind]
        artefact = find_artefact(model, name)
        self._model = build(artefact.path)
        version = artefact.version
        self._threshold = version.metadata.threshold if version else 0.5
        self._name = f"{version.reference if version else artefact.label}/hand-loop"

    def score(self, messages: Sequence[Message]) -> tuple[list[dict[str, Any]], list[Message]]:
        """Turn records into messages for ``produce_batch``.

        Returns:
            predictions, and the records that are no JSON objects with all fields.
        """
        unreadable: list[Message] = []
        try:
            rows = [_read(orjson.loads(message.value() or b"")) for message in messages]
        except _UNREADABLE:  # seldom: look for the culprits one by one
            rows, messages, unreadable = _sort_out(messages)
            if not rows:
                return [], unreadable
        *columns, identifiers, event_times = zip(*rows, strict=True)
        probabilities = self._model.score(dict(zip(CUSTOMER.feature_names, columns, strict=True)))
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        threshold, scored_by = self._threshold, self._name
        predictions = [
            {
                "key": message.key(),
                "value": _PREDICTION
                % (identifier, chance, "Yes" if chance >= threshold else "No", at, now, scored_by),
            }
            for message, identifier, chance, at in zip(
                messages, identifiers, probabilities, event_times, strict=True
            )
        ]
        return predictions, unreadable


def _sort_out(
    messages: Sequence[Message],
) -> tuple[list[tuple[Any, ...]], list[Message], list[Message]]:
    """Rows, the records they come from, and the records that cannot be read."""
    rows, readable, unreadable = [], [], []
    for message in messages:
        try:
            rows.append(_read(orjson.loads(message.value() or b"")))
            readable.append(message)
        except _UNREADABLE:
            unreadable.append(message)
    return rows, readable, unreadable


def run_loop(settings: LoopSettings, member: int, members: int) -> None:
    """Drain every ``members``-th partition, beginning with number ``member``."""
    scorer = Scorer(settings.model, settings.kind)
    consumer = Consumer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "group.id": settings.group,
            "enable.auto.commit": False,
            "queued.min.messages": 200_000,
            "fetch.message.max.bytes": 8_000_000,
            "log_level": 3,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "transactional.id": f"{settings.group}-{member}",
            "linger.ms": 5,
            "batch.size": 1_000_000,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
            "delivery.report.only.error": True,
            "log_level": 3,
        }
    )
    producer.init_transactions(_TIMEOUT_S)
    left = _assign(consumer, settings.input_topic, member, members)
    while left > 0:
        messages = consumer.consume(BATCH_RECORDS, _POLL_S)
        for message in messages:
            error = message.error()
            if error is not None:
                raise KafkaException(error)
        if messages:
            _write(settings, scorer, consumer, producer, messages)
            left -= len(messages)
    consumer.close()


def _assign(consumer: Consumer, topic: str, member: int, members: int) -> int:
    """Take this member's partitions from where the group is; returns how many records are left."""
    found = consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions
    partitions = [TopicPartition(topic, number) for number in sorted(found)[member::members]]
    left = 0
    for partition in consumer.committed(partitions, timeout=_TIMEOUT_S):
        low, high = consumer.get_watermark_offsets(partition, timeout=_TIMEOUT_S)
        partition.offset = max(low, partition.offset)
        left += high - partition.offset
        consumer.incremental_assign([partition])
    return left


def _write(
    settings: LoopSettings,
    scorer: Scorer,
    consumer: Consumer,
    producer: Producer,
    messages: Sequence[Message],
) -> None:
    predictions, unreadable = scorer.score(messages)
    ends = {message.partition(): (message.offset() or 0) + 1 for message in messages}
    producer.begin_transaction()
    queued = producer.produce_batch(settings.output_topic, predictions)
    if queued != len(predictions):
        raise BufferError(f"{len(predictions) - queued} messages were not taken")
    for message in unreadable:
        producer.produce(settings.dead_letter_topic, message.value(), message.key())
    offsets = [TopicPartition(settings.input_topic, p or 0, end) for p, end in ends.items()]
    group = consumer.consumer_group_metadata()
    producer.send_offsets_to_transaction(offsets, group, _TIMEOUT_S)
    producer.commit_transaction(_TIMEOUT_S)


def main() -> int:
    """Run all processes to the end; 0 if each of them did its share."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bootstrap_servers", "input_topic", "output_topic", "dead_letter_topic"):
        parser.add_argument(name)
    parser.add_argument("group")
    parser.add_argument("model", type=Path)
    parser.add_argument("--kind", choices=sorted(_MODELS), default="sklearn")
    parser.add_argument("--processes", type=int, default=2)
    arguments = vars(parser.parse_args())
    members = arguments.pop("processes")
    # One process for each core: threads of numerical libraries would only fight for them.
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    settings = LoopSettings(**arguments)
    processes = [
        context.Process(target=run_loop, args=(settings, member, members))
        for member in range(members)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return max(abs(process.exitcode or 0) for process in processes)


if __name__ == "__main__":
    sys.exit(main())
