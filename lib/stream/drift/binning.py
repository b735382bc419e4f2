"""Finds the profile of the version that scores."""

from __future__ import annotations

import logging

from lib.drift.profile import Binning, Profile
from lib.score.base import ModelBackend
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.store.version import PROFILE_ARTEFACT

logger = logging.getLogger(__name__)


def find_binning(scorer: ModelBackend, settings: ScoreStreamSettings) -> Binning | None:
    """Find the way in which the records of a model are put into bins; None without ``--drift``.

    One line of the log says so if the model has no profile: then its drift is not known.

    Raises:
        ModelCorruptError: the profile of the version is not the one that was saved.
    """
    if not settings.drift:
        return None
    profile = _read_profile(scorer)
    if profile is None:
        logger.warning(
            "--drift: %s has no %s, so its drift is not known (train it with jobs/train.py, or add"
            " it with jobs/models.py add --data FILE)",
            *(scorer.scored_by, PROFILE_ARTEFACT),
        )
    else:
        logger.info(
            "one of %d records is compared with the %d rows that %s was trained on",
            *(settings.drift_sample, profile.rows, scorer.scored_by),
        )
    return Binning(settings.drift_sample, scorer.scored_by, profile)


def _read_profile(scorer: ModelBackend) -> Profile | None:
    version = scorer.version
    if version is None or not version.has(PROFILE_ARTEFACT):
        return None
    path = version.path / PROFILE_ARTEFACT
    text = version.read_artefact(path).decode(errors="replace")
    return Profile.from_json(text, str(path))
