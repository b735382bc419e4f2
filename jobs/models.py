"""Manage the versions of the models in a store: list, promote, take back, try, export and so on.

Run it with ``.venv/bin/python jobs/models.py --help``.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.settings.command import print_lines, run_job
from lib.settings.jobs.models import ModelsSettings
from lib.tools.models.commands import COMMANDS


def manage_models(settings: ModelsSettings) -> int:
    """Do what the settings say, print what was done, and return the exit code.

    Raises:
        ScoringError: there is no such version, or it must not be changed.
    """
    return print_lines(COMMANDS[settings.command](settings))


if __name__ == "__main__":
    sys.exit(run_job(ModelsSettings, manage_models))
