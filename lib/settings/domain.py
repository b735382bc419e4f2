"""Completes settings with the names of the domain whose records a job takes.

An empty name among a job's settings stands for the domain's own. The domain is that of the contract
that is named, or of the version that scores, or of the only contract that the clone has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lib.errors import ModelError, SettingsError
from lib.record.contract import Contract
from lib.record.contract_file import read_contract
from lib.settings.base import JobSettings
from lib.store import ModelReference, ModelStore, ModelVersion, read_version_contract
from lib.store.contract import CONTRACTS
from lib.store.reference import CHAMPION, is_url
from lib.store.version import find_version

# Setting → attribute with the domain's own name.
_OF_THE_DOMAIN: Mapping[str, Callable[[Contract], str]] = {
    "input_topic": lambda contract: contract.defaults.input_topic,
    "output_topic": lambda contract: contract.defaults.output_topic,
    "dead_letter_topic": lambda contract: contract.defaults.dead_letter_topic,
    "query_name": lambda contract: contract.defaults.query,
    "name": lambda contract: contract.defaults.model,
}


def find_names(settings: JobSettings) -> dict[str, Any]:
    """Find setting → value, for empty settings that belong to the domain.

    Raises:
        ContractError: the named contract cannot be read.
        SettingsError: several models or domains could be meant, and none is named.
    """
    found: dict[str, Any] = {}
    fields = type(settings).model_fields
    if _is_empty(settings, "model"):
        found["model"] = choose_model(settings)
    empty = [name for name in _OF_THE_DOMAIN if _is_empty(settings, name)]
    if empty:
        contract = _find_domain(settings, found.get("model"))
        found |= {name: _OF_THE_DOMAIN[name](contract) for name in empty}
    if _is_empty(settings, "checkpoint"):
        query = found.get("query_name") or getattr(settings, "query_name", "")
        found["checkpoint"] = f"checkpoints/{query}"
    return {name: value for name, value in found.items() if name in fields}


def choose_contract(path: Path | None) -> Contract:
    """Choose the contract of a file, or the only one that the clone has.

    Raises:
        ContractError: the file cannot be read.
        SettingsError: no file is named, and the clone has none or several.
    """
    if path is not None:
        return read_contract(path)
    # macOS puts hidden files with the same ending beside others.
    known = sorted(it for it in CONTRACTS.glob("*.toml") if not it.name.startswith("."))
    if len(known) != 1:
        listed = ", ".join(it.name for it in known) or "none"
        raise SettingsError(
            f"--contract is not given, and {CONTRACTS} has {listed}",
            hint="name the contract of the records with --contract FILE",
        )
    return read_contract(known[0])


def _is_empty(settings: JobSettings, name: str) -> bool:
    return getattr(settings, name, None) == ""


def _find_domain(settings: JobSettings, model: str | None) -> Contract:
    """Find the contract whose names the job takes."""
    path: Path | None = getattr(settings, "contract", None)
    reference = model or getattr(settings, "model", None)
    if path is None and reference is not None:
        try:
            version = _find_version(settings, reference)
            if version is not None:
                return read_version_contract(version)
        except ModelError:  # the error comes when the model is loaded
            pass
    return choose_contract(path)


def _find_version(settings: Any, reference: str) -> ModelVersion | None:
    """Find the version that scores; None for a model outside a store."""
    if is_url(reference):
        return None
    path = ModelReference.parse(reference).path
    return ModelStore(settings.store).resolve(reference) if path is None else find_version(path)


def choose_model(settings: Any) -> str:
    """Choose the champion of the contract's model, or of the only model in the store.

    Raises:
        SettingsError: the store has several models, and none is named.
    """
    if settings.contract is not None:
        name = read_contract(settings.contract).defaults.model
    else:
        name = _choose_from_store(settings.store)
    return f"{name}@{CHAMPION}"


def _choose_from_store(store: Path) -> str:
    names = ModelStore(store).names()
    if len(names) == 1:
        return names[0]
    default = choose_contract(None).defaults.model
    if names and default not in names:
        raise SettingsError(
            f"--model is not given, and {store} has {', '.join(names)}",
            hint="name one of them with --model NAME@champion",
        )
    return default
