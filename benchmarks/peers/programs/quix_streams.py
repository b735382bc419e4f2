"""Score with Quix Streams: each record passes a function, at least or exactly once."""

from __future__ import annotations

import sys
from pathlib import Path

from quixstreams import Application

from benchmarks.hand_scorer import Scorer


def main() -> None:
    """Consume, score and produce; Quix commits."""
    servers, source, sink, group, model, threshold, folder, guarantee, interval_s = sys.argv[1:]
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
    predictions = records.apply(lambda value: scorer.score([value])[0])
    predictions = predictions.filter(lambda prediction: prediction is not None)
    predictions.to_topic(application.topic(sink, value_serializer="str"))
    application.run()


if __name__ == "__main__":
    main()
