"""Settings of jobs/train.py."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, model_validator

from lib.settings.base import CONTRACT_OF_RECORDS, OF_THE_DOMAIN, JobSettings

SYNTHETIC = "synthetic"
# With so many rows the metrics' spread over folds is near 0.01, and a demo does not take long.
DEFAULT_SYNTHETIC_ROWS = 10_000
#: The kinds of models that can be tried; lib/training/candidates.py holds them.
CandidateName = Literal["logistic", "logistic-interactions", "hist-gradient-boosting"]


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
    candidates: tuple[CandidateName, ...] = Field(
        (),
        description="kinds of models to choose from by nested cross-validation, of"
        f" {', '.join(get_args(CandidateName))}; where not given, all for a CSV file and logistic"
        " for synthetic records",
    )
    cost_missed: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="cost of a record of the positive label that is predicted as negative; with"
        " --cost-alarm, the threshold has the least cost, and without both the best F1",
    )
    cost_alarm: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="cost of a record of the negative label that is predicted as positive",
    )

    @property
    def tried(self) -> tuple[CandidateName, ...]:
        """The candidates to choose from."""
        if self.candidates:
            return self.candidates
        # The demonstration shall not wait for a choice whose outcome is known.
        return ("logistic",) if self.data == SYNTHETIC else get_args(CandidateName)

    @model_validator(mode="after")
    def _check_costs(self) -> TrainSettings:
        if (self.cost_missed is None) != (self.cost_alarm is None):
            raise ValueError("--cost-missed and --cost-alarm go together: give both or neither")
        return self

    @model_validator(mode="after")
    def _check_rows(self) -> TrainSettings:
        if self.rows is not None and self.data != SYNTHETIC:
            raise ValueError("rows goes with --data synthetic only; a file is read whole")
        return self
