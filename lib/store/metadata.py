"""The metadata of a model version, which are beside its artefacts in ``metadata.json``."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import PurePosixPath
from typing import Any

from lib.errors import ModelCorruptError
from lib.store.reference import is_name

METADATA_FILE = "metadata.json"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ModelMetadata:
    """The metadata of one version.

    Attributes:
        name: the name of the model.
        version: the number of the version, from 1.
        created: the time of saving in ISO 8601, UTC.
        metrics: estimator ("sklearn", "spark") → metric → {"mean", "std"} over the folds.
        threshold: the probability in [0, 1] from which the prediction is the positive label.
        contract_fingerprint: :attr:`lib.record.contract.Contract.fingerprint` of the training data.
        libraries: distribution → version that the model was trained with.
        artefacts: relative POSIX path of each file → its sha256.
        training: the number of rows, the kind of source, the seed.
        positive_class: the model's own name of the class that the contract's positive label means;
            None if the model's classes tell it.
        columns: the columns of a model that takes them by position, in its order; None if the model
            knows their names.
        origin: the way of the version into the store, if it was not trained there: from which
            version or files, and who has trusted them when.
    """

    name: str
    version: int
    created: str
    metrics: dict[str, dict[str, dict[str, float]]]
    threshold: float
    contract_fingerprint: str
    libraries: dict[str, str]
    artefacts: dict[str, str]
    training: dict[str, Any]
    # The files of older versions have none of these.
    positive_class: str | None = None
    columns: list[str] | None = None
    origin: dict[str, Any] | None = None

    def to_json(self) -> str:
        """Write the metadata as the text of ``metadata.json``, without what was not recorded."""
        defaults = {field.name: field.default for field in fields(self)}
        values = {key: it for key, it in asdict(self).items() if it is not defaults[key]}
        return json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, *, place: str = METADATA_FILE) -> ModelMetadata:
        """Read and check the file's text.

        Args:
            text: the text that :meth:`to_json` has written.
            place: the name of the file in messages.

        Raises:
            ModelCorruptError: the text is no such metadata; the error names the wrong part.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelCorruptError(f"{place}: not JSON: {error}") from error
        known = {field.name for field in fields(cls)}
        needed = {field.name for field in fields(cls) if field.default is MISSING}
        found = set(values) if isinstance(values, dict) else set()
        if not needed <= found <= known:
            raise ModelCorruptError(
                f"{place}: missing {sorted(needed - found)}, unknown {sorted(found - known)}"
            )
        for key, valid in _CHECKS.items():
            if key in found and not valid(values[key]):
                raise ModelCorruptError(f"{place}: {key} is not valid: {values[key]!r:.200}")
        return cls(**values)


def is_version_metadata(text: str) -> bool:
    """Tell whether this JSON is the metadata of a model version, valid or not.

    Other tools put a ``metadata.json`` beside a model too, without checksums. Text that is no JSON
    counts as metadata of a version, because it may be a damaged file.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return True
    return isinstance(values, dict) and {"artefacts", "contract_fingerprint"} <= values.keys()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_text_map(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


def _is_inner_path(text: str) -> bool:
    """Tell whether a path is relative, normalized, and stays inside the version's folder."""
    path = PurePosixPath(text)
    return text == str(path) and not path.is_absolute() and ".." not in path.parts and text != "."


def _are_artefacts(value: object) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(_is_inner_path(path) for path in value)
        and all(isinstance(sha, str) and _SHA256.fullmatch(sha) for sha in value.values())
    )


def _are_columns(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(it, str) for it in value)


def _are_metrics(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(metrics, dict)
        and all(
            isinstance(summary, dict) and all(_is_number(number) for number in summary.values())
            for summary in metrics.values()
        )
        for metrics in value.values()
    )


# The check of each field, in the order in which errors are reported.
_CHECKS: dict[str, Callable[[Any], bool]] = {
    "name": lambda value: isinstance(value, str) and is_name(value),
    "version": lambda value: type(value) is int and value >= 1,
    "created": lambda value: isinstance(value, str),
    "metrics": _are_metrics,
    "threshold": lambda value: _is_number(value) and 0 <= value <= 1,
    "contract_fingerprint": lambda value: isinstance(value, str),
    "libraries": _is_text_map,
    "artefacts": _are_artefacts,
    "training": lambda value: isinstance(value, dict),
    "positive_class": lambda value: value is None or isinstance(value, str),
    "columns": lambda value: value is None or _are_columns(value),
    "origin": lambda value: value is None or isinstance(value, dict),
}
