"""Profiles of synthetic customers, and windows of others, for tests of drift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lib.drift.bins import BinKind, Bins, Places, count_places
from lib.drift.profile import Profile, build_profile
from lib.drift.window import Window
from lib.training.data import make_training_data
from tests.support.telco import CUSTOMER

VERSION = "churn@1/onnx"


def draw_customers(count: int, seed: int, **changes: Any) -> pd.DataFrame:
    """Draw customers as a model gets them; ``changes`` are columns, or functions of a column."""
    rows = make_training_data(count, seed, CUSTOMER).features
    changed = {
        name: change(rows[name]) if callable(change) else change for name, change in changes.items()
    }
    return rows.assign(**changed)


def score_customers(rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Score with a formula that follows three features, as a model would."""
    risk = -1.5 - rows["tenure"] / 30 + rows["MonthlyCharges"] / 50
    risk += (rows["Contract"] == "Month-to-month") * 1.0
    scores: npt.NDArray[np.float64] = 1 / (1 + np.exp(-risk.to_numpy(np.float64)))
    return scores


@lru_cache
def provide_profile() -> Profile:
    """Return the profile of 10,000 customers."""
    rows = draw_customers(10_000, seed=7)
    return build_profile(rows, score_customers(rows), CUSTOMER)


def place_rows(rows: pd.DataFrame, profile: Profile) -> list[Places]:
    """Find the bin of each value, and of each score."""
    places = [place_column(bins, rows[bins.name]) for bins in profile.features]
    return [*places, profile.score.place_numbers(score_customers(rows))]


def place_column(bins: Bins, column: pd.Series[Any]) -> Places:
    if bins.kind in (BinKind.VALUE, BinKind.LENGTH):
        return bins.place_texts(column)
    return bins.place_numbers(column.to_numpy(np.float64))


def fill_window(rows: pd.DataFrame, refused: Mapping[str, int] | None = None) -> Window:
    """Return a window that has counted these customers."""
    profile = provide_profile()
    counts = [
        list(count_places(places, bins.size))
        for bins, places in zip(profile.quantities, place_rows(rows, profile), strict=True)
    ]
    return Window(1, VERSION, profile, 0.0, 1.0, counts, len(rows), Counter(refused or {}))
