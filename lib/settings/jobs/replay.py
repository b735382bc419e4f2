"""Settings of ``jobs/replay.py``."""

from __future__ import annotations

from pydantic import Field

from lib.settings.base import PlanSettings


class ReplaySettings(PlanSettings):
    """Score Parquet files with the plan of the stream, to Parquet files."""

    input: list[str] = Field(
        min_length=1,
        description="Parquet file, folder or glob; repeatable. Dumps of a topic (column value), or"
        " tables with the contract's columns",
    )
    output: str = Field(description="folder for predictions/ and dead_letters/")
    overwrite: bool = Field(False, description="replace what an earlier replay wrote to --output")
