"""Make answers of models as topics hold them."""

from __future__ import annotations

import json
from typing import Any

from lib.tools.models.topics.answers import Answer

FIRST, SECOND = "churn@1/onnx", "churn@2/onnx"
TIME = "2026-11-23T14:20:01.000Z"


def answer(
    identifier: str,
    probability: float | None,
    model: str = FIRST,
    *,
    at: int = 0,
    error: str = "",
    threshold: float = 0.5,
) -> Answer:
    """Make the answer for a customer's record, scored so many seconds after 14:20."""
    label = None if probability is None else "Yes" if probability >= threshold else "No"
    record = (identifier.encode(), identifier, TIME)
    return Answer(record, f"2026-11-23T14:20:{at:02}.000Z", model, probability, label, error)


def spell(it: Answer) -> bytes:
    """Spell an answer as a message of the topic of predictions or of shadows."""
    fields: dict[str, Any] = {
        "customerID": it.identifier,
        "churn_probability": it.probability,
        "prediction": it.label,
        "event_ts": it.record[2],
        "processed_ts": it.processed,
        "model_version": it.model,
    }
    if it.error:
        fields["shadow_error"] = it.error
    return json.dumps(fields).encode()
