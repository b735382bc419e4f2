"""Check all that the streaming job needs with the same settings, and change nothing.

Run it with ``./spark-submit.sh jobs/check.py --config FILE``, or in this process with
``.venv/bin/python jobs/check.py --config FILE``.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.settings.command import run_job
from lib.settings.jobs.check import CheckSettings
from lib.tools.check.doctor import examine, open_local_session
from lib.tools.check.report import build_console, find_exit_code, print_table, render_json


def check(settings: CheckSettings) -> int:
    """Make all checks, print what was found, and return 2 if the job would fail."""
    findings = examine(settings, open_local_session)
    if settings.format == "json":
        print(render_json(findings))
    else:
        print_table(build_console(), findings)
    return find_exit_code(findings)


if __name__ == "__main__":
    sys.exit(run_job(CheckSettings, check))
