"""Provide a model that ends the Python worker that scores with it, and no other process."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from tests.support.telco import CUSTOMER


class DeadlyModel:
    """A model that gives one probability on the driver, and ends Spark's Python workers."""

    classes_ = np.array(["No", "Yes"])
    feature_names_in_ = np.array(CUSTOMER.feature_names)

    def predict_proba(self, rows: Any) -> Any:
        from pyspark import TaskContext

        if TaskContext.get() is not None:
            os._exit(9)
        return np.tile([0.75, 0.25], (len(rows), 1))
