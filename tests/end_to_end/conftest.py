from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from lib.tools.broker import Broker
from tests.conftest import TopicFactory
from tests.end_to_end.jobs import Deployment


@pytest.fixture
def deployment(
    broker: Broker, topic: TopicFactory, model_store: Path, checkpoint: Path
) -> Deployment:
    """Provide a query for one test, with new topics."""
    # Some broken records are oversized; as a dead letter, such a record has headers too, or is in
    # an envelope.
    wide, wider = {"max.message.bytes": "2097152"}, {"max.message.bytes": "3145728"}
    return Deployment(
        bootstrap_servers=broker.bootstrap_servers,
        input_topic=topic(4, wide),
        output_topic=topic(4),
        dead_letter_topic=topic(2, wider),
        store=model_store,
        checkpoint=checkpoint,
        query_name=f"query-{uuid.uuid4().hex[:8]}",
    )
