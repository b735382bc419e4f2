"""Finds the effects of the fields that predictions name as their reasons."""

from __future__ import annotations

from lib.errors import SettingsError
from lib.messages.effects import Effects, Reasons
from lib.score.base import ModelBackend
from lib.store.version import EFFECTS_ARTEFACT


def find_reasons(scorer: ModelBackend, count: int) -> Reasons | None:
    """Find the reasons that each prediction carries.

    Args:
        scorer: the loaded backend.
        count: the number of fields; 0 for no reasons.

    Raises:
        SettingsError: the model has no effects of its fields.
        ModelCorruptError: the effects of the version are not those that were saved.
    """
    if not count:
        return None
    version = scorer.version
    if version is None or not version.has(EFFECTS_ARTEFACT):
        found = "a model outside a store" if version is None else f"no {EFFECTS_ARTEFACT} in it"
        raise SettingsError(
            f"--reasons {count}, model {scorer.scored_by}: found {found}, expected a version whose"
            " effects of each field were saved in training",
            hint="train a linear model with jobs/train.py, or leave --reasons out",
        )
    path = version.path / EFFECTS_ARTEFACT
    text = version.read_artefact(path).decode(errors="replace")
    return Reasons(Effects.from_json(text, str(path)), count)
