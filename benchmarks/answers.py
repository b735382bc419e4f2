"""Compute the answers that contestants must give: probabilities of the scikit-learn pipeline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.telco import CUSTOMER
from lib.inference_backend import load_model, predict
from lib.synth import iter_records
from lib.synth.telco import make_customers

# This many answers are compared: those for the first customers of every topic that a benchmark
# fills.
SAMPLE_RECORDS = 2_000
#: Compiled forms may differ by 1e-6, and predictions are rounded to six digits.
TOLERANCE = 1.5e-6


def expect_answers(model: Path, seed: int) -> dict[bytes, float]:
    """Return key → probability of the first :data:`SAMPLE_RECORDS` customers.

    Args:
        model: folder of a stored version.
        seed: the seed with which topics are filled.
    """
    customers = make_customers(SAMPLE_RECORDS, seed)
    records = list(iter_records(customers, CUSTOMER))
    _, probabilities = predict(load_model("sklearn", model), records)
    keys = (str(record["customerID"]).encode() for record in records)
    return dict(zip(keys, probabilities, strict=True))


class Comparison:
    """A comparison of one contestant's answers with the expected ones.

    Args:
        expected: key → probability.
    """

    def __init__(self, expected: Mapping[bytes, float]) -> None:
        self._expected = expected
        self._seen: set[bytes] = set()
        self._wrong: set[bytes] = set()

    def note(self, key: bytes | str | None, value: bytes | str | None) -> None:
        """Compare a prediction, if it is in the sample; most are not."""
        name = key.encode() if isinstance(key, str) else key
        if name is None or name not in self._expected:
            return
        self._seen.add(name)
        found = float(json.loads(value or b"{}").get("churn_probability", "nan"))
        if not abs(found - self._expected[name]) <= TOLERANCE:
            self._wrong.add(name)

    def check(self, records: int) -> str | None:
        """Say what is wrong with the first ``records`` customers' predictions; None if nothing."""
        expected = min(records, len(self._expected))
        if len(self._seen) != expected:
            return f"found {len(self._seen)} predictions of a sample of {expected} records"
        if self._wrong:
            return (
                f"{len(self._wrong)} of {expected} probabilities differ by more than {TOLERANCE}"
                " from those of the scikit-learn pipeline"
            )
        return None
