"""Show it all: customers through a real Kafka, scored by Spark, back exactly once.

Run it with ``make demo``, or ``.venv/bin/python jobs/demo.py --help``.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.settings.command import run_job
from lib.settings.jobs.demo import DemoSettings
from lib.tools.demo.output import Output
from lib.tools.demo.run import run_demo


def demonstrate(settings: DemoSettings) -> int:
    """Run the demonstration; return 0 if every record came back once."""
    return run_demo(settings, Output(sys.stdout))


if __name__ == "__main__":
    sys.exit(run_job(DemoSettings, demonstrate))
