"""Create the topics of the streaming job, those that are missing.

Run it with ``.venv/bin/python jobs/topics.py --help``.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.settings.command import run_job
from lib.settings.jobs.topics import TopicsSettings
from lib.tools.topics import create_missing


def create(settings: TopicsSettings) -> int:
    """Create what is missing, and tell of each topic."""
    for line in create_missing(settings):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(run_job(TopicsSettings, create))
