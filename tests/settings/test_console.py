"""The settings of the page belong together, and nobody opens it to others by mistake."""

from __future__ import annotations

import pytest

from lib.errors import SettingsError
from lib.settings.jobs.demo import DemoSettings
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.load import load_settings


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--console", "0.0.0.0:8080"], "other machines can reach this address, so expected"),
        (["--console", "host.example:8080"], "other machines can reach this address"),
        (["--console", "[::]:8080"], "other machines can reach this address"),
        (["--console", "8080"], "--console: found '8080', expected HOST:PORT"),
        (["--console-shows-records"], "--console-shows-records: goes with --console HOST:PORT"),
        (["--console-token-file", "token"], "--console-token-file: goes with --console"),
        (["--console-names", "a.example"], "--console-names: goes with --console"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(ScoreStreamSettings, arguments, {})

    assert message in str(caught.value)


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "localhost:0", "[::1]:8080"])
def test_this_machine_needs_no_token(address: str) -> None:
    assert load_settings(ScoreStreamSettings, ["--console", address], {}).console == address


def test_other_machines_may_see_the_page_with_a_token() -> None:
    arguments = ["--console", "0.0.0.0:8080", "--console-token-file", "token"]

    assert load_settings(ScoreStreamSettings, arguments, {}).console == "0.0.0.0:8080"


def test_the_page_of_the_demonstration_is_for_this_machine_only() -> None:
    assert load_settings(DemoSettings, ["--console", ""], {}).console == ""
    with pytest.raises(SettingsError, match=r"expected an address of this machine"):
        load_settings(DemoSettings, ["--console", "0.0.0.0:8080"], {})
