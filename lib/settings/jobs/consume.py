"""Settings of ``jobs/consume.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from lib.messages.keys import KEYS
from lib.settings.base import CONTRACT_OF_NAMES, OF_THE_DOMAIN, KafkaSettings


class ConsumeSettings(KafkaSettings):
    """Print what the scoring job has written, a line of JSON for each message."""

    show: Literal["predictions", "dead-letters"] = Field(
        "predictions", description="which of the two topics"
    )
    output_topic: str = Field("", description=f"topic of predictions{OF_THE_DOMAIN}")
    dead_letter_topic: str = Field("", description=f"topic of dead letters{OF_THE_DOMAIN}")
    contract: Path | None = Field(None, description=CONTRACT_OF_NAMES)
    key: tuple[str, ...] = Field(
        (), description=f"only messages with one of these keys: {KEYS}; repeatable"
    )
    start: Literal["earliest", "latest"] = Field(
        "earliest", description="from the topic's beginning, or only what comes from now on"
    )
    follow: bool = Field(
        False, description="wait for more at the topic's end, until Ctrl-C; latest always does"
    )
    count: int | None = Field(None, ge=1, description="end after so many messages")
    original: bool = Field(
        False, description="print what a dead letter's record held, as text or base64"
    )

    @property
    def is_endless(self) -> bool:
        """Whether only ``count`` or a signal ends the job."""
        return self.follow or self.start == "latest"
