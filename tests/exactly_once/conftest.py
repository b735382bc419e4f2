from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # pure tests must not even import them
    from pyspark.sql import SparkSession

    from lib.tools.broker import Broker
    from tests.conftest import TopicFactory
    from tests.exactly_once.copying import Copying


@pytest.fixture
def copying(spark: SparkSession, broker: Broker, topic: TopicFactory, checkpoint: Path) -> Copying:
    """Provide a query that copies a new topic."""
    from tests.exactly_once.copying import build_copying

    return build_copying(spark, broker.bootstrap_servers, topic, checkpoint)
