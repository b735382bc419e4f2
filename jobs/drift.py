"""Tell how far the records of a streaming job have drifted from the training data of its model.

Run it with ``.venv/bin/python jobs/drift.py --help``.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.settings.command import print_lines, run_job
from lib.settings.drift import DriftReportSettings
from lib.tools.drift.report import report


def tell_drift(settings: DriftReportSettings) -> int:
    """Print the report, or write it to a file; return the exit code.

    Raises:
        ScoringError: there is no such checkpoint, or it has no counts of drift.
    """
    return print_lines(report(settings))


if __name__ == "__main__":
    sys.exit(run_job(DriftReportSettings, tell_drift))
