from __future__ import annotations

import pytest

from lib.exactly_once.transaction.settings import TransactionSettings
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.load import load_settings


@pytest.mark.parametrize(
    ("timeout_s", "stuck_after_s", "expected_s"), [(60, None, 75), (600, None, 615), (60, 2, 2)]
)
def test_a_call_is_given_up_after_its_transaction_unless_told_otherwise(
    timeout_s: float, stuck_after_s: float | None, expected_s: float
) -> None:
    settings = TransactionSettings(
        "b:1", "q", "in", transaction_timeout_s=timeout_s, stuck_after_s=stuck_after_s
    )

    assert settings.patience_s == expected_s


def test_the_job_has_the_sinks_defaults() -> None:
    job, sink = load_settings(ScoreStreamSettings, [], {}), TransactionSettings("b:1", "q", "in")

    assert job.transaction_timeout == sink.transaction_timeout_s
    assert job.part_bytes == sink.part_bytes
