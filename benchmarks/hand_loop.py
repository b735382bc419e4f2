"""Consume with a loop that a good programmer would write by hand, for comparison.

Each process has one loop and its share of the partitions: it consumes 10,000 records, parses them,
scores them with one call of the model, and writes predictions and offsets in one Kafka transaction.
The client's settings are the job's, or more generous.

The loop does less than the job, which favours the loop: records are not checked against the
contract (only those that are no JSON object with all fields become dead letters), nothing is
retried, no fenced or stuck client is replaced, and nothing is reported. The loop ends where the
topic ended at its start, or with ``--endless`` on a signal.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from benchmarks.hand_scorer import Scorer
from lib.score.artefact import find_artefact
from lib.score.registry import BACKENDS

BATCH_RECORDS = 10_000
# The loop waits this long for a batch: a longer wait gives more records an hour, a shorter one
# gives each record sooner.
_PATIENCE_S = 1.0
_TIMEOUT_S = 30.0
_ARTEFACTS = {name: BACKENDS[name].artefact for name in ("sklearn", "onnx")}


@dataclass(frozen=True)
class LoopSettings:
    """Settings of the command line; ``group`` also begins the transactional ids."""

    bootstrap_servers: str
    input_topic: str
    output_topic: str
    dead_letter_topic: str
    group: str
    model: Path
    kind: str = "sklearn"
    patience_s: float = _PATIENCE_S
    is_endless: bool = False


def find_model(model: Path, kind: str) -> tuple[Path, float, str]:
    """Find the facts that a scorer needs about a model.

    Args:
        model: a stored version, or the file of its artefact.
        kind: "sklearn" or "onnx".

    Returns:
        The model's file, threshold and name.
    """
    artefact = find_artefact(model, _ARTEFACTS[kind])
    version = artefact.version
    if version is None:
        return artefact.path, 0.5, artefact.label
    return artefact.path, version.metadata.threshold, version.reference


def run_loop(settings: LoopSettings, member: int, members: int) -> None:
    """Drain every ``members``-th partition, beginning with number ``member``."""
    path, threshold, name = find_model(settings.model, settings.kind)
    scorer = Scorer(path, threshold, f"{name}/hand-loop")
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
    while left > 0 or settings.is_endless:
        messages = consumer.consume(BATCH_RECORDS, settings.patience_s)
        for message in messages:
            error = message.error()
            if error is not None:
                raise KafkaException(error)
        if messages:
            _write(settings, scorer, consumer, producer, messages)
            left -= len(messages)
    consumer.close()


def _assign(consumer: Consumer, topic: str, member: int, members: int) -> int:
    """Take this member's partitions where the group is; return how many records are left."""
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
    texts = scorer.score([message.value() for message in messages])
    predictions = [
        {"key": message.key(), "value": text}
        for message, text in zip(messages, texts, strict=True)
        if text is not None
    ]
    unreadable = (message for message, text in zip(messages, texts, strict=True) if text is None)
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
    """Run all processes to the end; return 0 if each of them did its share."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bootstrap_servers", "input_topic", "output_topic", "dead_letter_topic"):
        parser.add_argument(name)
    parser.add_argument("group")
    parser.add_argument("model", type=Path)
    parser.add_argument("--kind", choices=sorted(_ARTEFACTS), default="sklearn")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--patience-s", type=float, default=_PATIENCE_S)
    parser.add_argument("--endless", dest="is_endless", action="store_true")
    arguments = vars(parser.parse_args())
    members = arguments.pop("processes")
    # There is one process for each core, so threads of numerical libraries would only compete.
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
