"""The real job, killed with -9 when it reaches a step of a transaction.

CRASH_STEP names the step (see ``TransactionalWriter``), CRASH_AT how often it must be reached.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from jobs.score_stream import score_stream
from lib.cli import run_job
from lib.settings import ScoreStreamSettings

_STEP = os.environ["CRASH_STEP"]
_AT = int(os.environ["CRASH_AT"])
_seen = 0


def die_at_step(step: str) -> None:
    """Take the whole process group down: wrapper, JVM, driver and Python workers."""
    global _seen
    _seen += step == _STEP
    if _seen == _AT:
        os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(run_job(ScoreStreamSettings, lambda settings: score_stream(settings, die_at_step)))
