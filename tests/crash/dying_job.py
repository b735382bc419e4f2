"""Run the real job, which dies on order when it reaches a step of a transaction.

CRASH_FOLDER names a folder. A file ``order`` in it names the step, and how many times the job
reaches it before it dies (``committed 3``). The file may be written while the job runs. If a signal
and a process follow (``committed 3 19 4711``), that process, such as the broker, gets the signal
instead. The job notes in ``timeline`` when it reached each step the first times: the first
transaction claims the group, the second one has a batch.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

_IMPORTING_S = time.time()

from jobs.score_stream import score_stream  # noqa: E402
from lib.settings.command import run_job  # noqa: E402
from lib.settings.jobs.score_stream import ScoreStreamSettings  # noqa: E402

_FOLDER = Path(os.environ["CRASH_FOLDER"])
_ORDER = _FOLDER / "order"
_TIMELINE = _FOLDER / "timeline"
_NOTED_TIMES = 2
_noted: Counter[str] = Counter()
_seen: Counter[str] = Counter()


def note(step: str, at_s: float | None = None) -> None:
    """Write down when a step was reached, but only the first times."""
    _noted[step] += 1
    if _noted[step] <= _NOTED_TIMES:
        with _TIMELINE.open("a") as file:
            file.write(f"{step}-{_noted[step]} {time.time() if at_s is None else at_s:.3f}\n")


def obey(step: str) -> None:
    """Carry out the order if it names this step; by default kill the job's whole process group."""
    note(step)
    try:
        wanted, times, *target = _ORDER.read_text().split()
    # There is no order, or it is not written to its end yet.
    except (FileNotFoundError, ValueError):
        return
    _seen[step] += 1
    if step == wanted and _seen[step] >= int(times):
        _ORDER.unlink()
        if target:
            number, pid = map(int, target)
            os.kill(pid, number)
        else:
            os.killpg(os.getpgid(0), signal.SIGKILL)


def work(settings: ScoreStreamSettings) -> int:
    """Run the job with a log that mentions each batch."""
    logging.getLogger("lib.exactly_once").setLevel(logging.INFO)
    return score_stream(settings, obey)


if __name__ == "__main__":
    note("python", _IMPORTING_S)
    note("imported")
    sys.exit(run_job(ScoreStreamSettings, work))
