"""Provides ``jobs/models.py`` with a store of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.models import manage_models
from lib.record.contract_writer import write_contract
from lib.settings.jobs.models import ModelsSettings
from lib.settings.load import load_settings
from lib.store import ModelStore
from tests.support.small_loan import CONTRACT

Run = Callable[..., list[str]]


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def run(store: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs jobs/models.py for the small contract, and returns its lines."""
    contract = tmp_path / "loan.toml"
    contract.write_text(write_contract(CONTRACT))
    fixed = ("--store", str(store.root), "--contract", str(contract), "--name", "loan")

    def call(*arguments: str | Path) -> list[str]:
        words = [*map(str, arguments), *fixed]
        assert manage_models(load_settings(ModelsSettings, words, {})) == 0
        return capsys.readouterr().out.splitlines()

    return call
