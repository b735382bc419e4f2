from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from lib.broker import Broker
from tests.conftest import TopicFactory
from tests.end_to_end.jobs import Deployment


@pytest.fixture
def deployment(
    broker: Broker, topic: TopicFactory, model_store: Path, checkpoint: Path
) -> Deployment:
    """A query of one test's own, with fresh topics."""
    # The oversized record of the faults needs room for its headers in the dead-letter topic.
    wide = {"max.message.bytes": "2097152"}
    return Deployment(
        bootstrap_servers=broker.bootstrap_servers,
        input_topic=topic(4, wide),
        output_topic=topic(4),
        dead_letter_topic=topic(2, wide),
        store=model_store,
        checkpoint=checkpoint,
        query_name=f"query-{uuid.uuid4().hex[:8]}",
    )
