"""The model that stands in for one that cannot be used."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lib.errors import ModelError
from lib.score.registry import BACKENDS, DEFAULT, BackendOptions

if TYPE_CHECKING:
    from lib.score.base import ModelBackend

logger = logging.getLogger(__name__)


class NotUsableError(Exception):
    """Why a model cannot be used although nothing is wrong with its store, as one phrase."""


class ModelUnavailableError(ModelError, ValueError):
    """A model that is no scikit-learn one cannot be used, and there is no fallback."""

    remedy = "see the cause, or give a fallback_path"


def build_fallback(backend: ModelBackend) -> ModelBackend:
    """The backend that stands in, not loaded."""
    options = BackendOptions(
        preprocessor_path=backend.fallback_preprocessor_path, contract=backend.contract
    )
    return BACKENDS[DEFAULT].build(backend.fallback_path or backend.model_path, options)


def load_fallback(backend: ModelBackend, cause: NotUsableError) -> ModelBackend:
    """Load what stands in for a backend's model, and log why it does.

    Raises:
        ModelUnavailableError: nothing stands in; says the cause.
        FileNotFoundError, ModelError: what stands in cannot be used either.
    """
    if backend.fallback_path is None:
        raise ModelUnavailableError(
            f"{backend.kind} model {backend.model_path}: {cause}; no fallback path specified"
        ) from cause
    logger.warning(
        "%s model not used, falling back to %s: cause=%s model=%s fallback=%s",
        *(backend.kind, DEFAULT, cause, backend.model_path, backend.fallback_path),
    )
    fallback = build_fallback(backend)
    fallback.load()
    return fallback
