"""List, show, promote, take back and delete the versions of the models in a store.

Run it with ``.venv/bin/python jobs/models.py --help``.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.settings.command import run_job
from lib.settings.jobs.models import ModelsSettings
from lib.store import ModelStore
from lib.tools.models.listing import list_versions, show_version
from lib.tools.models.naming import find_stored, name_stored


def list_models(settings: ModelsSettings) -> int:
    """Print the versions of one model, or of all."""
    store, now = ModelStore(settings.store), datetime.now(UTC)
    tables = [list_versions(store, name, now) for name in settings.names or store.names()]
    print("\n\n".join(map("\n".join, tables)) or f"{store.root}: there is no model yet")
    return 0


def show(settings: ModelsSettings) -> int:
    """Print all that is known of a version."""
    store, version = find_stored(settings.store, settings.names[0])
    for line in show_version(store, version, datetime.now(UTC)):
        print(line)
    return 0


def promote(settings: ModelsSettings) -> int:
    """Make a version the champion."""
    store, name, version = name_stored(settings.store, settings.names[0])
    store.promote(name, version)
    print(f"champion {name}@{version}: jobs take it from their next start on")
    return 0


def roll_back(settings: ModelsSettings) -> int:
    """Make the champion before the present one the champion again."""
    (name,) = settings.names
    version = ModelStore(settings.store).roll_back(name)
    print(f"champion {name}@{version}, as before: jobs take it from their next start on")
    return 0


def delete(settings: ModelsSettings) -> int:
    """Delete a version."""
    store, name, version = name_stored(settings.store, settings.names[0])
    store.delete(name, version)
    print(f"deleted {name}@{version}")
    return 0


COMMANDS = {
    "list": list_models,
    "show": show,
    "promote": promote,
    "rollback": roll_back,
    "delete": delete,
}


def manage_models(settings: ModelsSettings) -> int:
    """Do what the settings say.

    Raises:
        ScoringError: there is no such version, or it must not be changed.
    """
    return COMMANDS[settings.command](settings)


if __name__ == "__main__":
    sys.exit(run_job(ModelsSettings, manage_models))
