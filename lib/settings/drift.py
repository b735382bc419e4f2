"""Settings of drift, in the streaming job and in ``jobs/drift.py``."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator

from lib.drift.counter import WindowLimits
from lib.drift.folder import KEPT_WINDOWS
from lib.drift.judgement import LEAST_RECORDS
from lib.settings.base import CONTRACT_OF_NAMES, OF_THE_DOMAIN, JobSettings

_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_TIME = re.compile(r"(\d+) (second|minute|hour|day)s?")
EXPECTED_TIME = 'expected a time like "1 hour" or "30 minutes"'


class DriftLimitSettings(JobSettings):
    """The setting that says what drift is."""

    drift_limit: float = Field(
        0.2,
        gt=0,
        allow_inf_nan=False,
        description="population stability index above which a feature or the score has drifted; a"
        " window of few records has a higher one, which chance alone does not reach",
    )


class DriftSettings(DriftLimitSettings):
    """The settings of a job that counts drift."""

    drift: bool = Field(
        False,
        description="count how the records and scores are distributed, and compare them with the"
        " training data of the version; see docs/drift.md",
    )
    drift_sample: int = Field(
        10, ge=1, le=1_000, description="one of so many records is counted for drift"
    )
    drift_window_records: int = Field(
        10_000,
        ge=LEAST_RECORDS,
        description="counted records after which a window is judged for drift",
    )
    drift_window: str = Field(
        "1 hour",
        description="time after which a window is judged for drift, if it has"
        f" {LEAST_RECORDS} counted records",
    )

    @field_validator("drift_window")
    @classmethod
    def _check_window(cls, window: str) -> str:
        found = _TIME.fullmatch(window)
        if found is None or int(found[1]) == 0:
            raise ValueError(EXPECTED_TIME)
        return window

    @property
    def window_limits(self) -> WindowLimits:
        """The size at which a window closes."""
        found = _TIME.fullmatch(self.drift_window)
        assert found is not None
        return WindowLimits(self.drift_window_records, int(found[1]) * _SECONDS[found[2]])


class DriftReportSettings(DriftLimitSettings):
    """Tell how far records and scores have drifted from the training data of the model.

    The streaming job counts them with --drift, and keeps its windows in its checkpoint. This reads
    them there, also while the job runs.
    """

    query_name: str = Field("", description=f"query whose checkpoint is read{OF_THE_DOMAIN}")
    checkpoint: str = Field(
        "",
        description="path or URL of the query's checkpoint; checkpoints/QUERY_NAME where not given",
    )
    contract: Path | None = Field(None, description=CONTRACT_OF_NAMES)
    windows: int = Field(10, ge=1, le=KEPT_WINDOWS, description="windows that are listed at most")
    output: str | None = Field(
        None, description="file for the report, .html, .md or .json; the console where not given"
    )
