"""Count, list and show dead letters, and send their records to the input topic again.

Run it with ``.venv/bin/python jobs/dead_letters.py --help``.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.settings.command import print_lines, run_job
from lib.settings.jobs.dead_letters import DeadLettersSettings
from lib.tools.dead_letters.commands import COMMANDS


def manage_dead_letters(settings: DeadLettersSettings) -> int:
    """Do what the settings say, print what was found or done, and return the exit code.

    Raises:
        ScoringError: topics, letters or the correction cannot be used.
    """
    return print_lines(COMMANDS[settings.command](settings))


if __name__ == "__main__":
    sys.exit(run_job(DeadLettersSettings, manage_dead_letters))
