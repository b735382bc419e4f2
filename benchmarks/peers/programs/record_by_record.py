"""Score record by record, at least once, with confluent-kafka and scikit-learn."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer

from benchmarks.hand_scorer import Scorer

COMMIT_INTERVAL_S = 0.1


def main() -> None:
    """Consume, score, produce, and commit what was delivered."""
    servers, source, sink, group, model, threshold, _ = sys.argv[1:]
    scorer = Scorer(Path(model), float(threshold), "record-by-record")
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
        }
    )
    producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True})
    consumer.subscribe([source])
    committed_s, is_pending = time.monotonic(), False
    while True:
        message = consumer.poll(COMMIT_INTERVAL_S)
        if message is not None:
            if (error := message.error()) is not None:
                raise KafkaException(error)
            (prediction,) = scorer.score([message.value()])
            if prediction is not None:
                producer.produce(sink, prediction, message.key())
            producer.poll(0)
            consumer.store_offsets(message)
            is_pending = True
        if is_pending and time.monotonic() - committed_s > COMMIT_INTERVAL_S:
            producer.flush()
            consumer.commit()
            committed_s, is_pending = time.monotonic(), False


if __name__ == "__main__":
    main()
