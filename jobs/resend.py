"""Send dead letters to the input topic again, each once: ``jobs/dead_letters.py resend``.

Run it with ``.venv/bin/python jobs/resend.py --help``.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.settings.command import print_lines, run_job
from lib.settings.jobs.resend import ResendSettings
from lib.tools.dead_letters.commands import resend_letters


def resend_dead_letters(settings: ResendSettings) -> int:
    """Send the chosen dead letters, print what became of all, and return the exit code.

    Raises:
        ScoringError: settings, topics or the correction cannot be used.
    """
    return print_lines(resend_letters(settings))


if __name__ == "__main__":
    sys.exit(run_job(ResendSettings, resend_dead_letters))
