"""``python -m lib.inference_backend MODEL`` loads a model, scores one record, and reports."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib.errors import ScoringError
from lib.score.artefact import find_artefact
from lib.score.base import ModelBackend
from lib.score.loading import get_backend_info, load_model, predict
from lib.score.mlflow_folder import find_mlflow_model
from lib.score.registry import BACKENDS, DEFAULT, find_by_suffix, find_for_folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 if the record was scored, else 1 with a line on stderr."""
    options = _build_parser().parse_args(arguments)
    try:
        backend = load_model(options.backend or _guess_backend(options.model), options.model)
        predictions, probabilities = predict(backend, options.record or _build_record(backend))
    except (ScoringError, OSError, TypeError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    lines = {
        "prediction": predictions[0],
        "probability": f"{probabilities[0]:.6f}",
        "threshold": backend.threshold,
        "scored_by": backend.scored_by,
        **get_backend_info(backend),
    }
    for key, value in lines.items():
        sys.stdout.write(f"{key:<18} {'-' if value is None else value}\n")
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lib.inference_backend", description="Load a model and score one record."
    )
    parser.add_argument(
        "model", metavar="MODEL", help="a file, a folder, NAME@champion or NAME@VERSION"
    )
    parser.add_argument(
        "--backend",
        choices=tuple(BACKENDS),
        help=f"default: {DEFAULT} where MODEL has a file for it, else by its suffix; a folder:"
        f" {find_for_folder()}",
    )
    parser.add_argument(
        "--record",
        type=json.loads,
        metavar="JSON",
        help="the record to score; the harmless one of the model's contract where not given",
    )
    return parser


def _build_record(backend: ModelBackend) -> dict[str, Any]:
    """Build a record of the stand-ins of the model's contract.

    Raises:
        ValueError: the model has no contract.
    """
    if backend.contract is None:
        raise ValueError("the model is outside a store, so a record is needed: --record JSON")
    return {field.name: field.model_stand_in for field in backend.contract.features}


def _guess_backend(model: str) -> str:
    """Guess by the suffix of a file, or by the contents of a folder."""
    if (by_suffix := find_by_suffix(Path(model))) is not None:
        return by_suffix
    by_mlflow = find_mlflow_model(Path(model))
    if by_mlflow is not None:
        return by_mlflow.backend
    path, folder = find_artefact(model, BACKENDS[DEFAULT].artefact).path, find_for_folder()
    has_folder = not path.exists() and path.with_name(BACKENDS[folder].artefact).is_dir()
    return folder if path.is_dir() or has_folder else DEFAULT
