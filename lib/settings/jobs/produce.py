"""Settings of ``jobs/produce.py``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from lib.settings.base import CONTRACT_OF_RECORDS, OF_THE_DOMAIN, KafkaSettings


class ProduceSettings(KafkaSettings):
    """Send records to a topic: from a CSV file, or synthetic ones; some of them broken."""

    source: str = Field(
        "synthetic", description="CSV file with the contract's columns, or synthetic"
    )
    contract: Path | None = Field(None, description=CONTRACT_OF_RECORDS)
    count: int | None = Field(
        None,
        ge=0,
        description="how many; 0 until Ctrl-C. Each row of a file once, or 10,000 synthetic ones,"
        " where not given; a file with fewer rows is sent again from its start",
    )
    rate: float = Field(0.0, ge=0.0, description="records per second; 0 as fast as possible")
    bad_share: float = Field(
        0.0, ge=0.0, le=1.0, description="share of records that are broken, of every kind in turn"
    )
    seed: int = Field(1, ge=0, description="of synthetic records and of faults")
    input_topic: str = Field("", description=f"topic to send to{OF_THE_DOMAIN}")
    create_topic: bool = Field(False, description="create the topic where it is missing")
    topic_partitions: int = Field(4, ge=1, description="of a topic that is created")
