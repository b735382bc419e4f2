"""Settings of jobs/train.py."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from lib.settings.base import CONTRACT_OF_RECORDS, OF_THE_DOMAIN, JobSettings

SYNTHETIC = "synthetic"
# With so many rows the metrics' spread over folds is near 0.01, and a demo does not take long.
DEFAULT_SYNTHETIC_ROWS = 10_000


class TrainSettings(JobSettings):
    """Train a model version for scikit-learn and for Spark.

    The new version becomes the champion, which jobs use that are started from then on; --no-promote
    keeps the champion there is. A model's first version always becomes the champion. Versions are
    never changed or deleted, so that going back is promoting an older one: see docs/models.md.
    """

    data: str = Field(
        SYNTHETIC, description="CSV file with the contract's features and label, or 'synthetic'"
    )
    contract: Path | None = Field(None, description=CONTRACT_OF_RECORDS)
    store: Path = Field(Path("models"), description="folder of the model store")
    name: str = Field("", description=f"name of the model{OF_THE_DOMAIN}")
    seed: int = Field(7, ge=0, description="of the folds, and of synthetic records")
    rows: int | None = Field(
        None,
        ge=100,
        le=10_000_000,
        description=f"number of synthetic records; {DEFAULT_SYNTHETIC_ROWS:,} where not given",
    )
    promote: bool = Field(True, description="make the new version the champion")

    @model_validator(mode="after")
    def _check_rows(self) -> TrainSettings:
        if self.rows is not None and self.data != SYNTHETIC:
            raise ValueError("rows goes with --data synthetic only; a file is read whole")
        return self
