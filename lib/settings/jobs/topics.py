"""Settings of ``jobs/topics.py``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from lib.settings.base import CONTRACT_OF_NAMES, OF_THE_DOMAIN
from lib.settings.topics import DistinctTopicSettings


class TopicsSettings(DistinctTopicSettings):
    """Create the topics of the streaming job, those that are missing.

    Their replicas and min.insync.replicas are the brokers' defaults.
    """

    input_topic: str = Field("", description=f"topic of records{OF_THE_DOMAIN}")
    output_topic: str = Field("", description=f"topic for predictions{OF_THE_DOMAIN}")
    dead_letter_topic: str = Field(
        "", description=f"topic for records that cannot be scored, of one partition{OF_THE_DOMAIN}"
    )
    shadow_topic: str = Field(
        "", description="topic for what shadows would have answered; none where not given"
    )
    contract: Path | None = Field(None, description=CONTRACT_OF_NAMES)
    topic_partitions: int = Field(
        4, ge=1, description="of the topics of records, predictions and what shadows answer"
    )
