"""Loads a model for a command, and scores records of files with it, without a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib.errors import ModelNotFoundError, NoProbabilityError
from lib.record.contract import Contract
from lib.record.prediction import are_positive
from lib.score.admission.probe import Score, build_score, probe
from lib.score.base import ModelBackend
from lib.score.choice import choose_backend, choose_contract
from lib.score.features import build_typed_features
from lib.score.loading import load_model, naming_model
from lib.score.registry import BACKENDS, DEFAULT, rank_backends
from lib.score.scorer import Probabilities
from lib.score.workers.failures import NO_PROBABILITY, FailureTally
from lib.score.workers.halves import score_batch
from lib.settings.jobs.models import ModelsSettings
from lib.store import ModelReference, ModelStore, ModelVersion
from lib.store.version import find_version
from lib.tools.contract.checking import Checked

# So many records are scored at once.
_BATCH = 10_000


@dataclass(frozen=True)
class Outcome:
    """The result of one record: a prediction, or the reason why it has none.

    Attributes:
        place: the place of the record in its file.
        identifier: the identifier; None if it could not be read.
        probability: the probability of the positive label; None if there is none.
        label: the predicted label; None if there is none.
        reason: the rules that the record breaks, by field, or the error of the model; empty if it
            was scored.
    """

    place: str
    identifier: str | None
    probability: float | None = None
    label: str | None = None
    reason: str = ""


def load_named(
    settings: ModelsSettings, name: str, path: Path, version: ModelVersion | None
) -> tuple[ModelBackend, Contract]:
    """Load the model that :func:`find_named` has found, and its contract.

    ``auto`` takes the first of a version's backends that needs no JVM, whose start takes seconds.

    Args:
        settings: the settings, which tell store, backend and what a model outside a store needs.
        name: the name of the model on the command line.
        path: its path.
        version: the version that it is; None for a model outside a store.

    Raises:
        ModelError: the job would refuse the model.
        ContractError: the model is outside a store, and no contract is named.
    """
    contract = choose_contract(version, settings.contract, name)
    backend = settings.backend
    if backend == "auto":
        backend = _choose(path, version)
    if BACKENDS[backend].is_native:
        from lib.spark.local_session import build_local_session

        build_local_session("models")
    with naming_model(name):
        loaded = load_model(
            backend,
            path,
            settings.preprocessor,
            contract=contract,
            positive_class=settings.positive_class or None,
            columns=settings.columns or None,
        )
    probe(loaded, contract)
    return loaded, contract


def find_named(root: Path, name: str) -> tuple[Path, ModelVersion | None]:
    """Find the path of a model, and the version that it is; None for one outside a store.

    Args:
        root: the folder of the store, if the name does not say another.
        name: ``NAME@VERSION``, ``NAME@champion``, or a path.

    Raises:
        ModelError: there is no such model, or it is damaged.
    """
    reference = ModelReference.parse(name)
    if reference.path is None:
        version = ModelStore(root).resolve(name)
        return version.path, version
    if not reference.path.exists():
        raise ModelNotFoundError(
            f"{name}: no such file or folder",
            hint="name a version as NAME@VERSION or NAME@champion, or a file",
        )
    return reference.path, find_version(reference.path)


def _choose(path: Path, version: ModelVersion | None) -> str:
    if version is not None and version.path == path:
        usable = [it for it in rank_backends() if version.has(it.artefact) and it.is_installed]
        usable.sort(key=lambda kind: kind.is_native)
        return usable[0].name if usable else DEFAULT
    return choose_backend(path)


def score_records(
    backend: ModelBackend, records: Iterable[Checked], contract: Contract
) -> Iterator[Outcome]:
    """Score the records that keep the contract, and say why the others are refused.

    Args:
        backend: the loaded model.
        records: the records, as they were checked against the contract.
        contract: the contract of the records.
    """
    batch: list[Checked] = []
    for record in records:
        batch.append(record)
        if len(batch) == _BATCH:
            yield from _score_batch(backend, batch, contract)
            batch = []
    yield from _score_batch(backend, batch, contract)


def _score_batch(
    backend: ModelBackend, batch: Sequence[Checked], contract: Contract
) -> Iterator[Outcome]:
    rows = build_typed_features(
        [it.decoded.features for it in batch if it.decoded.is_valid], contract
    )
    tally = FailureTally(backend.scored_by)
    scores = score_batch(_unwrap(build_score(backend, contract)), rows, tally)
    labels = np.where(
        are_positive(scores.probabilities, backend.threshold),
        contract.positive_label,
        contract.negative_label,
    )
    row = 0
    for place, decoded, _ in batch:
        if not decoded.is_valid:
            reason = ", ".join(f"{it.field or 'record'}: {it.rule}" for it in decoded.violations)
            yield Outcome(place, decoded.identifier, reason=reason)
            continue
        probability = float(scores.probabilities[row])
        if np.isnan(probability):
            reason = f"model: {scores.failures.get(row, NO_PROBABILITY)}"
            yield Outcome(place, decoded.identifier, reason=reason)
        else:
            yield Outcome(place, decoded.identifier, probability, str(labels[row]))
        row += 1


def _unwrap(score: Score) -> Score:
    """Let the model's own error through, whose row is known here."""

    def compute(rows: pd.DataFrame) -> Probabilities:
        try:
            return score(rows)
        except NoProbabilityError as error:
            raise error.__cause__ or error from None

    return compute
