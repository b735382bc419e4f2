"""Make dead letters as the scoring job writes them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from confluent_kafka import Producer

from lib.messages.dead_letter import DeadLetterFormat, MessageSettings, OutputSettings
from lib.messages.header_text import Header
from lib.stream.one_pass import BatchPlan
from tests.support.telco import CUSTOMER
from tests.support.worker_scorers import FunctionScorer

Row = tuple[bytes, bytes | None, list[Header]]


def judge(rows: Sequence[Row], source: str, letters: str, style: DeadLetterFormat) -> list[Row]:
    """Return the dead letters that a worker of the job writes for records."""
    texts = [
        json.dumps([{"key": k, "value": base64.b64encode(v or b"").decode()} for k, v in headers])
        for _, _, headers in rows
    ]
    count = len(rows)
    records = pa.RecordBatch.from_pydict(
        {
            "source_topic": pa.repeat(source, count),
            "source_partition": pa.array([0] * count, pa.int32()),
            "source_offset": pa.array(range(count), pa.int64()),
            "source_timestamp": pa.array([datetime.now(UTC)] * count, pa.timestamp("us", "UTC")),
            "source_key": pa.array([key for key, _, _ in rows], pa.binary()),
            "source_value": pa.array([value for _, value, _ in rows], pa.binary()),
            "source_headers": pa.array(texts),
        }
    )
    output = OutputSettings("predictions", letters, "churn-scoring", style)
    plan = BatchPlan(
        score=FunctionScorer(
            lambda features: np.full_like(features["tenure"], np.nan, dtype=np.float64)
        ),
        settings=MessageSettings(CUSTOMER, output, threshold=0.5, model_version="churn@1/test"),
    )
    return [
        (row["key"], row["value"], [(h["key"], h["value"]) for h in row["headers"] or ()])
        for row in plan.score_batch(records).to_pylist()
    ]


def send_letters(
    bootstrap_servers: str,
    source: str,
    letters: str,
    rows: Sequence[Row],
    style: DeadLetterFormat = DeadLetterFormat.HEADERS,
) -> None:
    """Write the dead letters of records of one topic to another topic."""
    producer = Producer({"bootstrap.servers": bootstrap_servers, "message.max.bytes": 3_000_000})
    for key, value, headers in judge(rows, source, letters, style):
        producer.produce(letters, value, key, headers=[*headers])
    assert producer.flush(60) == 0
