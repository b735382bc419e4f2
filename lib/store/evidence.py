"""The evidence that a model can score, without which no version is saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lib.score.registry import BACKENDS


@dataclass(frozen=True)
class Probed:
    """The evidence that a model has scored the designed records of a contract.

    Only :func:`lib.score.admission.probe.probe` makes it.

    Attributes:
        scored_by: the name of model and backend.
        rows: the number of records.
    """

    scored_by: str
    rows: int


#: A function that lets each model in a folder score, and returns backend → evidence.
Probe = Callable[[Path], Mapping[str, Probed]]


def require_evidence(folder: Path, evidence: Mapping[str, Probed]) -> None:
    """Refuse a folder with a model for which there is no evidence.

    Args:
        folder: the folder of the models, each under the name that its backend looks for.
        evidence: backend → evidence.

    Raises:
        ValueError: a backend's model has not been probed, or there is no model at all.
    """
    models = [name for name, kind in BACKENDS.items() if (folder / kind.artefact).exists()]
    if not models:
        known = ", ".join(kind.artefact for kind in BACKENDS.values())
        raise ValueError(f"write_artefacts wrote no model, expected one of {known}")
    missing = [name for name in models if not isinstance(evidence.get(name), Probed)]
    if missing:
        raise ValueError(f"the models for {', '.join(missing)} were not probed")
