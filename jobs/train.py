"""Train a model version, for scikit-learn and for Spark, and make it the champion.

Run it with ``python jobs/train.py --help``; ``spark-submit jobs/train.py`` does the same.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console

from lib.errors import DiskFullError, FileError, SettingsError
from lib.record.contract import Contract
from lib.settings.command import run_job
from lib.settings.domain import choose_contract
from lib.settings.jobs.train import DEFAULT_SYNTHETIC_ROWS, SYNTHETIC, TrainSettings
from lib.spark.local_session import build_local_session
from lib.store import ModelStore
from lib.training.data import TrainingData, make_training_data, read_training_data
from lib.training.evaluation import Costs
from lib.training.report.console import (
    build_candidates_table,
    build_metrics_table,
    describe_version,
)
from lib.training.training import train


def train_model(settings: TrainSettings) -> int:
    """Read data, train, save, promote and report; return the exit code."""
    console = Console(highlight=False)
    store = open_store(settings)
    contract = choose_contract(settings.contract)
    data = load_data(settings, contract)
    with console.status("starting Spark") as status:
        spark = build_local_session("train")
        version = train(
            data,
            store=store,
            name=settings.name,
            contract=contract,
            seed=settings.seed,
            spark=spark,
            now=datetime.now(UTC),
            candidates=settings.tried,
            costs=choose_costs(settings),
            report=status.update,
        )
    if settings.promote:
        store.promote(version.name, version.version)
    else:
        store.promote_first(version.name, version.version)
    champion = store.read_champion(version.name)
    console.print(build_metrics_table(version))
    if len(settings.tried) > 1:
        console.print(build_candidates_table(version))
    console.print(describe_version(version), soft_wrap=True)
    console.print(f"saved        {version.path}", soft_wrap=True)
    console.print(f"champion     {version.name}@{champion}")
    return 0


def open_store(settings: TrainSettings) -> ModelStore:
    """Open the store, and make sure that a version can be saved there under this name."""
    store = ModelStore(settings.store)
    try:
        store.check_writable(settings.name)
    except DiskFullError:
        raise
    except FileError as error:
        raise SettingsError(f"--store: {error.message}", hint=error.hint) from error
    return store


def choose_costs(settings: TrainSettings) -> Costs | None:
    """Return the costs of mistakes; None where the settings do not say."""
    if settings.cost_missed is None or settings.cost_alarm is None:
        return None
    return Costs(settings.cost_missed, settings.cost_alarm)


def load_data(settings: TrainSettings, contract: Contract) -> TrainingData:
    """Load the rows that the settings name."""
    if settings.data == SYNTHETIC:
        rows = settings.rows or DEFAULT_SYNTHETIC_ROWS
        return make_training_data(rows, settings.seed, contract)
    return read_training_data(Path(settings.data), contract)


if __name__ == "__main__":
    sys.exit(run_job(TrainSettings, train_model))
