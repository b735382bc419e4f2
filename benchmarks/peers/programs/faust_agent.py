"""Score with Faust: an agent takes batches, at least once."""

from __future__ import annotations

import sys
from pathlib import Path

import faust

from benchmarks.hand_scorer import Scorer

BATCH_RECORDS = 1_000
PATIENCE_S = 0.05

servers, source, sink, group, model, threshold, folder = sys.argv[1:]
scorer = Scorer(Path(model), float(threshold), "faust")
app = faust.App(
    group,
    broker=f"kafka://{servers}",
    value_serializer="raw",
    consumer_auto_offset_reset="earliest",
    topic_disable_leader=True,
    web_enabled=False,
    datadir=folder,
)
records = app.topic(source, key_serializer="raw", value_serializer="raw")
predictions = app.topic(sink, key_serializer="raw", value_serializer="raw")


@app.agent(records)
async def score(stream: faust.StreamT) -> None:
    """Score each batch with one call."""
    async for events in stream.take_events(BATCH_RECORDS, within=PATIENCE_S):
        texts = scorer.score([event.value for event in events])
        for event, text in zip(events, texts, strict=True):
            if text is not None:
                await predictions.send(key=event.key, value=text.encode())


if __name__ == "__main__":
    faust.Worker(app, loglevel="WARNING").execute_from_commandline()
