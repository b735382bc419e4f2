"""Score with Bytewax: batches pass a function, at least once, and a folder keeps the progress."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kafka
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from benchmarks.hand_scorer import Scorer

BATCH_RECORDS = 10_000
SNAPSHOT_INTERVAL = timedelta(seconds=1)


def main() -> None:
    """Build the flow and run it."""
    servers, source, sink, _, model, threshold, folder = sys.argv[1:]
    scorer = Scorer(Path(model), float(threshold), "bytewax")

    def score(messages: list[KafkaSourceMessage]) -> list[KafkaSinkMessage]:
        predictions = scorer.score([message.value for message in messages])
        return [
            KafkaSinkMessage(message.key, prediction.encode())
            for message, prediction in zip(messages, predictions, strict=True)
            if prediction is not None
        ]

    flow = Dataflow("churn")
    records = kafka.input("in", flow, brokers=[servers], topics=[source], batch_size=BATCH_RECORDS)
    predictions = op.flat_map_batch("score", records.oks, score)
    kafka.output("out", predictions, brokers=[servers], topic=sink)
    database = Path(folder, "recovery")
    database.mkdir(parents=True)
    init_db_dir(database, 1)
    cli_main(flow, epoch_interval=SNAPSHOT_INTERVAL, recovery_config=RecoveryConfig(str(database)))


if __name__ == "__main__":
    main()
