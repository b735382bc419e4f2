"""Settings of ``jobs/evaluate.py``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from lib.kafka.partitions import MOMENTS, parse_moment
from lib.settings.base import OF_THE_DOMAIN, KafkaSettings


class EvaluateSettings(KafkaSettings):
    """Join predictions with the outcomes that came to be known, and say how good they were.

    Each run reads what has come since the last one, and makes the new result the current one in the
    output folder: current/report.html, report.md, report.json, and the Parquet files of table/.
    """

    output: Path = Field(Path("outcomes"), description="folder of the results, on a local disk")
    output_topic: str = Field("", description=f"topic of predictions{OF_THE_DOMAIN}")
    outcome_topic: str = Field(
        "", description="topic of outcomes; needed unless --outcome-files are given"
    )
    prediction_files: list[str] = Field(
        [],
        description="Parquet file, folder or glob of predictions, as jobs/replay.py writes them,"
        " instead of the topic; repeatable",
    )
    outcome_files: list[str] = Field(
        [],
        description="Parquet file, folder or glob of outcomes, instead of the topic; repeatable",
    )
    contract: Path | None = Field(
        None, description="TOML file of the contract; the model's own where not given"
    )
    store: Path = Field(Path("models"), description="folder of the model store")
    model: str = Field(
        "",
        description="NAME@champion or NAME@VERSION, whose contract names fields and labels; the"
        " champion of the only model in the store where not given",
    )
    outcome_time: str = Field(
        "outcome_ts", min_length=1, description="name of the field with the outcome's time"
    )
    prediction_time: Literal["processed", "event"] = Field(
        "processed",
        description="when a prediction counts as made: when it was scored, or at its record's own"
        " time, for a replay of old records",
    )
    horizon: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="days after a prediction within which an outcome counts; without an end where"
        " not given",
    )
    max_age: float = Field(
        90.0, gt=0, description="days after which an outcome counts as late; it counts all the same"
    )
    mature_after: float = Field(
        30.0,
        ge=0,
        le=36_500,
        description="days after which the labels of a week's predictions are complete",
    )
    recent_weeks: int = Field(
        4, ge=1, le=1_000, description="newest complete weeks that are compared with the training"
    )
    as_of: str = Field(
        "0s", description=f"time up to which predictions age, which is now by default: {MOMENTS}"
    )
    accept_gone: bool = Field(
        False,
        description="go on although records or files are gone that were to be read, or a topic was"
        " recreated",
    )

    @field_validator("as_of")
    @classmethod
    def _check_as_of(cls, text: str) -> str:
        parse_moment(text, datetime.now(UTC))
        return text

    @model_validator(mode="after")
    def _check_topics(self) -> Self:
        if self.outcome_topic and self.outcome_topic == self.output_topic:
            raise ValueError(
                f"--outcome-topic and --output-topic both name {self.output_topic}: expected a"
                " topic for each"
            )
        return self
