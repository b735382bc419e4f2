"""Builds and loads the fallback of a model that cannot be used."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lib.errors import ModelError
from lib.score.registry import BACKENDS, DEFAULT, BackendOptions

if TYPE_CHECKING:
    from lib.score.base import ModelBackend

logger = logging.getLogger(__name__)


class NotUsableError(Exception):
    """The reason why a model cannot be used although its store is intact, as one phrase."""


class ModelUnavailableError(ModelError, ValueError):
    """A model cannot be used, and there is no fallback."""

    remedy = "see the cause, or give a fallback_path"


def build_fallback(backend: ModelBackend) -> ModelBackend:
    """Build the backend of the fallback, which is not loaded yet."""
    options = BackendOptions(
        preprocessor_path=backend.fallback_preprocessor_path,
        contract=backend.contract,
        positive_class=backend.positive_class,
        columns=backend.given_columns,
    )
    return BACKENDS[DEFAULT].build(backend.fallback_path or backend.model_path, options)


def load_fallback(backend: ModelBackend, cause: NotUsableError) -> ModelBackend:
    """Load the fallback of a backend's model, and log why it is needed.

    Raises:
        ModelUnavailableError: there is no fallback; the error says why the model is not usable.
        FileNotFoundError, ModelError: the fallback cannot be used either.
    """
    if backend.fallback_path is None:
        raise ModelUnavailableError(
            f"{backend.kind} model {backend.model_path}: {cause}; no fallback path specified"
        ) from cause
    fallback = build_fallback(backend)
    fallback.load()  # only then: a warning before an error would name something else
    logger.warning(
        "%s model not used, falling back to %s: cause=%s model=%s fallback=%s",
        *(backend.kind, DEFAULT, cause, backend.model_path, backend.fallback_path),
    )
    return fallback
