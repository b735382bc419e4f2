"""Loads and probes the models in a folder that is to become a version."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib.score.admission.probe import probe
from lib.score.loading import load_model, naming_model
from lib.score.registry import BACKENDS
from lib.store import Probed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lib.record.contract import Contract
    from lib.score.base import ModelBackend


def probe_artefacts(
    folder: Path,
    contract: Contract,
    *,
    session: SparkSession | None = None,
    positive_class: str | None = None,
    columns: Sequence[str] | None = None,
) -> dict[str, Probed]:
    """Let each model in a folder score the designed records of a contract.

    Args:
        folder: the folder of the models, each under the name that its backend looks for.
        contract: the contract of the records that the models are going to get.
        session: the session for models that Spark's JVM evaluates; by default the active one or a
            new one.
        positive_class: the models' name of the class that the positive label means; None if their
            classes tell it.
        columns: the columns of models that take them by position; None if they know their names.

    Returns:
        backend → evidence, as :meth:`lib.store.ModelStore.save` demands it.

    Raises:
        ModelError: a model cannot be loaded, or does not score what the contract allows.
    """
    loaded = load_artefacts(
        folder, contract, session=session, positive_class=positive_class, columns=columns
    )
    return {name: probe(backend, contract) for name, backend in loaded.items()}


def load_artefacts(
    folder: Path,
    contract: Contract,
    *,
    session: SparkSession | None = None,
    positive_class: str | None = None,
    columns: Sequence[str] | None = None,
) -> dict[str, ModelBackend]:
    """Load each model in a folder, without fallbacks; see :func:`probe_artefacts`.

    Raises:
        ModelError: a model cannot be loaded.
    """
    loaded = {}
    for name, kind in BACKENDS.items():
        path = folder / kind.artefact
        if not path.exists():
            continue
        with naming_model(path.name):
            loaded[name] = load_model(
                name,
                path,
                spark_session=session,
                contract=contract,
                positive_class=positive_class,
                columns=columns,
            )
    return loaded
