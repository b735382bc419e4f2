"""What benchmarks of several contestants share: settings, conditions, and where the report goes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator
from rich.console import Console

from benchmarks.environment import (
    describe_machine,
    leave_out_variables,
    read_spark_defaults,
    read_variables,
)
from lib.jars import BUILD_ROOT
from lib.settings import JobSettings

FOLDER = BUILD_ROOT / "benchmarks"


class BenchmarkSettings(JobSettings):
    """What every benchmark takes."""

    output: Path = Field(FOLDER, description="folder for the JSON report")


class TrialSettings(BenchmarkSettings):
    """What those take that start the job; each says who its contestants are."""

    contestants: ClassVar[Sequence[str]] = ()

    only: list[str] = Field(default_factory=list, description="a contestant; repeatable")
    conf: list[str] = Field(
        default_factory=list,
        description="KEY=VALUE for spark-submit, on top of conf/spark-defaults.conf; repeatable",
    )

    @field_validator("only")
    @classmethod
    def _check_only(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in cls.contestants:
                raise ValueError(f"expected some of {', '.join(cls.contestants)}")
        return names


def begin(settings: TrialSettings, console: Console) -> tuple[datetime, dict[str, Any]]:
    """Leave out what would spoil the figures; returns the time and the conditions so far."""
    for name in leave_out_variables():
        console.print(f"{name} is left out of the measurement")
    started = datetime.now(UTC)
    return started, {
        "started": started.isoformat(timespec="seconds"),
        # Where the report lies says nothing about the figures.
        "settings": settings.model_dump(mode="json", exclude={"output"}),
        "machine": describe_machine(),
        "environment": read_variables(),
        "spark_defaults": read_spark_defaults(),
    }


def write_report(folder: Path, name: str, started: datetime, text: str, console: Console) -> None:
    """Write ``name-TIME.json``, and say where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{started:%Y%m%dT%H%M%SZ}.json"
    path.write_text(text)
    console.print(f"report: {path}", soft_wrap=True)
