"""Settings of ``jobs/check.py``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lib.settings.jobs.score_stream import ScoreStreamSettings


class CheckSettings(ScoreStreamSettings):
    """Check all that jobs/score_stream.py needs with the same settings, and change nothing."""

    expected_outage: float = Field(
        72.0,
        gt=0,
        description="hours for which the job may stand still at most; topics and brokers have to"
        " remember for longer",
    )
    format: Literal["table", "json"] = Field("table", description="form of the report")
