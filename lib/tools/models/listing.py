"""Lists the versions of a model side by side, and shows one with all that is known of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime

from lib.errors import ModelError, ModelNotFoundError
from lib.printable import align
from lib.score.registry import rank_backends
from lib.store import ModelStore, ModelVersion, read_version_contract
from lib.store.metadata import ModelMetadata
from lib.tools.models.table import NOTHING, describe_age, describe_metric
from lib.training.report.console import METRIC_TITLES


def list_versions(store: ModelStore, name: str, now: datetime) -> Iterator[str]:
    """Write the versions of a model as a table; damaged ones stand below it.

    Raises:
        ModelNotFoundError: the model has no version.
    """
    versions, damaged = [], []
    for number in store.versions(name):
        try:
            versions.append(store.resolve(f"{name}@{number}"))
        except ModelError as error:
            damaged.append(f"{name}@{number} is damaged: {error.message}")
    if not versions and not damaged:
        raise ModelNotFoundError(
            f"{name}: not found in {store.root}; it has {', '.join(store.names()) or 'no model'}",
            hint="name one of them, or another folder with --store",
        )
    champion = _find_champion(store, name)
    metrics = _order_metrics([it.metadata for it in versions])
    rows = [["version", "", "age", "threshold", *map(_title, metrics), "engines"]]
    for version in versions:
        metadata = version.metadata
        measured = choose_metrics(metadata)
        rows.append(
            [
                version.reference,
                "champion" if version.version == champion else "",
                describe_age(metadata.created, now),
                f"{metadata.threshold:g}",
                *(describe_metric(measured.get(it)) for it in metrics),
                ", ".join(list_engines(version)) or NOTHING,
            ]
        )
    if versions:
        yield from align(rows, left=(0, 1, len(rows[0]) - 1))
    yield from damaged


def show_version(store: ModelStore, version: ModelVersion, now: datetime) -> Iterator[str]:
    """Write all that is known of a version, and whether its files are those that were saved.

    Raises:
        ModelError: a file is not the one that was saved, or the contract is not known.
    """
    metadata = version.metadata
    is_champion = version.version == _find_champion(store, version.name)
    facts = {
        "version": f"{version.reference}{' (champion)' if is_champion else ''}",
        "folder": str(version.path),
        "saved": f"{metadata.created}, {describe_age(metadata.created, now)} ago",
        "contract": f"{read_version_contract(version).name} {metadata.contract_fingerprint}",
        "threshold": f"{metadata.threshold:g}",
        "engines": ", ".join(list_engines(version)) or NOTHING,
    }
    for engine, measured in metadata.metrics.items():
        facts[f"measured {engine}"] = ", ".join(
            f"{_title(name)} {describe_metric(summary)}" for name, summary in measured.items()
        )
    if metadata.positive_class is not None:
        facts["positive class"] = metadata.positive_class
    if metadata.columns is not None:
        facts["columns"] = ", ".join(metadata.columns)
    if metadata.origin is not None:
        facts["origin"] = json.dumps(metadata.origin, ensure_ascii=False)
    facts["training"] = json.dumps(metadata.training, ensure_ascii=False)
    facts["libraries"] = ", ".join(f"{key} {it}" for key, it in metadata.libraries.items())
    width = max(map(len, facts))
    for key, text in facts.items():
        yield f"{key:<{width}}  {text or NOTHING}"
    version.verify()
    yield f"{'files':<{width}}  {len(metadata.artefacts)}, all as they were saved"


def list_engines(version: ModelVersion) -> list[str]:
    """List the backends that a version has a file for, the fastest first."""
    return [kind.name for kind in rank_backends() if version.has(kind.artefact)]


def choose_metrics(metadata: ModelMetadata) -> dict[str, dict[str, float]]:
    """Return the metrics of one estimator; those of several are nearly equal."""
    return metadata.metrics.get("sklearn") or next(iter(metadata.metrics.values()), {})


def _find_champion(store: ModelStore, name: str) -> int | None:
    try:
        return store.read_champion(name)
    except ModelError:  # there may be none yet
        return None


def _order_metrics(found: Sequence[ModelMetadata]) -> list[str]:
    names = dict.fromkeys(name for metadata in found for name in choose_metrics(metadata))
    known = [name for name in METRIC_TITLES if name in names]
    return [*known, *(name for name in names if name not in METRIC_TITLES)]


def _title(name: str) -> str:
    return METRIC_TITLES.get(name, name)
