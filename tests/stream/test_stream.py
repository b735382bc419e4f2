from __future__ import annotations

import pytest

from lib.errors import SettingsError
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.load import load_settings
from lib.stream.start import build_sink_settings


def test_time_and_size_of_transactions_are_the_jobs_settings() -> None:
    options = ["--transaction-timeout", "300", "--part-bytes", "2000000"]
    found = build_sink_settings(load_settings(ScoreStreamSettings, options, {}), "executor")

    assert found.commit == "executor"
    assert (found.transaction_timeout_s, found.part_bytes) == (300.0, 2_000_000)
    assert found.patience_s == 315.0


@pytest.mark.parametrize("option", ["--transaction-timeout=9", "--part-bytes=1000"])
def test_a_time_or_size_that_brokers_cannot_keep_is_refused(option: str) -> None:
    with pytest.raises(SettingsError, match=option.partition("=")[0].removeprefix("--")):
        load_settings(ScoreStreamSettings, [option], {})
