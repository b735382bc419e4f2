"""Settings of ``jobs/produce.py``."""

from __future__ import annotations

from pydantic import Field

from lib.settings.base import KafkaSettings


class ProduceSettings(KafkaSettings):
    """Send customers to a topic: from a CSV file, or synthetic ones; some of them broken."""

    source: str = Field(
        "synthetic", description="CSV file with the contract's columns, or synthetic"
    )
    count: int | None = Field(
        None,
        ge=0,
        description="how many; 0 until Ctrl-C. Each row of a file once, or 10,000 synthetic ones,"
        " where not given; a file with fewer rows is sent again from its start",
    )
    rate: float = Field(0.0, ge=0.0, description="customers per second; 0 as fast as possible")
    bad_share: float = Field(
        0.0, ge=0.0, le=1.0, description="share of records that are broken, of every kind in turn"
    )
    seed: int = Field(1, ge=0, description="of synthetic customers and of faults")
    input_topic: str = Field("telco.raw.customers", description="topic to send to")
    create_topic: bool = Field(False, description="create the topic where it is missing")
    topic_partitions: int = Field(4, ge=1, description="of a topic that is created")
