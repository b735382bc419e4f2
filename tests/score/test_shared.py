"""A process opens a model once."""

from __future__ import annotations

from lib.score.workers.shared import open_once


def test_model_is_opened_once_a_process() -> None:
    opened = []

    def build() -> list[str]:
        opened.append("model")
        return opened

    assert open_once("only-here", build) is open_once("only-here", build)
    assert opened == ["model"]
