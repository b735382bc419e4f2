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
    """A query of one test's own, with fresh topics."""
    # The faults hold an oversized record; as a dead letter it has headers too, or is an envelope.
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
