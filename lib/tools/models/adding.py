"""Adds a model that was made elsewhere to a store, after it has shown that it scores right."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lib.drift.profile import build_profile
from lib.record.contract import Contract
from lib.score.admission.artefacts import load_artefacts
from lib.score.admission.probe import design_records, probe
from lib.score.base import ModelBackend
from lib.score.registry import BACKENDS
from lib.spark.local_session import build_local_session
from lib.store import ModelStore, ModelVersion, Probed
from lib.store.version import PROFILE_ARTEFACT
from lib.tools.models.agreement import TOLERANCE, refuse_disagreement, refuse_unexpected, score_rows
from lib.training.data import TrainingData
from lib.training.evaluation import METRICS

Metrics = dict[str, dict[str, dict[str, float]]]


@dataclass
class Admission:
    """A model in a folder of its own, and what was found out about it.

    Attributes:
        folder: the folder of the files, each under the name that its backend looks for.
        contract: the contract of the model's records.
        backends: backend → loaded model.
        evidence: backend → evidence that it scores.
        metrics: backend → metric → {"mean"}.
        facts: the facts for the version's ``origin``.
    """

    folder: Path
    contract: Contract
    backends: Mapping[str, ModelBackend]
    evidence: Mapping[str, Probed]
    metrics: Metrics = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def threshold(self) -> float:
        """The threshold that the model itself states; 0.5 if it states none."""
        return self.backends[next(iter(self.backends))].threshold

    def require_agreement(self) -> None:
        """Make sure that the backends give the designed records the same probabilities.

        Raises:
            ModelMismatchError: two backends differ by more than 1e-6.
        """
        if len(self.backends) > 1:
            rows = design_records(self.contract).rows
            self.facts["largest_difference"] = refuse_disagreement(
                self.backends, rows, self.contract, "designed records"
            )

    def expect(self, path: Path) -> None:
        """Compare the model with the probabilities of its maker.

        Raises:
            SourceError: the file cannot be used.
            ModelMismatchError: a probability differs by more than 1e-6.
        """
        count = refuse_unexpected(self.backends, path, self.contract)
        self.facts["expected"] = {"file": path.name, "records": count, "within": TOLERANCE}

    def measure(self, data: TrainingData) -> None:
        """Measure every backend on labelled rows, on which they have to agree too.

        The version gets the profile of these rows, from which drift is measured.

        Raises:
            ModelMismatchError: two backends differ by more than 1e-6.
        """
        what = str(data.origin.get("file", "data"))
        refuse_disagreement(self.backends, data.features, self.contract, what)
        for name, backend in self.backends.items():
            found = score_rows(backend, self.contract, data.features, what)
            self.metrics[name] = {
                metric: {"mean": float(compute(data.labels, found))}
                for metric, compute in METRICS.items()
            }
            if name == next(iter(self.backends)):
                profile = build_profile(data.features, found, self.contract).to_json()
                (self.folder / PROFILE_ARTEFACT).write_text(profile, encoding="utf-8")
        self.facts["measured_on"] = {**data.origin, "rows": data.rows}

    def save(
        self,
        store: ModelStore,
        name: str,
        *,
        metrics: Metrics,
        threshold: float,
        libraries: Mapping[str, str],
        training: Mapping[str, Any],
        origin: Mapping[str, Any],
        now: datetime,
    ) -> ModelVersion:
        """Save the model as a version; see :meth:`lib.store.ModelStore.save`."""
        backend = self.backends[next(iter(self.backends))]
        return store.save(
            name,
            lambda folder: _copy(self.folder, folder),
            probe=lambda _: self.evidence,
            metrics=metrics,
            threshold=threshold,
            contract=self.contract,
            libraries=libraries,
            training=training,
            now=now,
            positive_class=backend.positive_class,
            columns=backend.given_columns,
            origin={**origin, **self.facts},
        )


def _copy(source: Path, folder: Path) -> None:
    shutil.copytree(source, folder, dirs_exist_ok=True)


@contextmanager
def make_staging_folder() -> Iterator[Path]:
    """Provide an empty folder that only this user can read, and remove it at the end."""
    with TemporaryDirectory(prefix="models-") as folder:
        yield Path(folder)


def admit(
    folder: Path, contract: Contract, positive_class: str | None, columns: list[str] | None
) -> Admission:
    """Load each model in a folder, and let it score the designed records of the contract.

    Raises:
        ModelError: a model cannot be loaded, or does not score what the contract allows.
    """
    is_native = any(
        kind.is_native and (folder / kind.artefact).exists() for kind in BACKENDS.values()
    )
    backends = load_artefacts(
        folder,
        contract,
        session=build_local_session("models") if is_native else None,
        positive_class=positive_class,
        columns=columns,
    )
    evidence = {name: probe(backend, contract) for name, backend in backends.items()}
    return Admission(folder, contract, backends, evidence)
