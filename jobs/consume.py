"""Print the predictions, or the dead letters, that the scoring job has written.

Run it with ``.venv/bin/python jobs/consume.py --help``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.exit_codes import ExitCode
from lib.interruption import Interruption
from lib.kafka.connection.connect import connect
from lib.settings.command import run_job, tell
from lib.settings.jobs.consume import ConsumeSettings
from lib.tools.consume import iter_lines


def consume(settings: ConsumeSettings) -> int:
    """Print the messages, and their number to standard error.

    Raises:
        ScoringError: the topic cannot be read.
    """
    connect(settings.cluster)  # this reports errors of brokers and login
    count = 0
    with Interruption() as interruption:
        try:
            for line in iter_lines(settings, interruption.is_requested):
                print(line, flush=settings.is_endless)
                count += 1
            sys.stdout.flush()
        except BrokenPipeError:  # the reader, such as head, has closed the pipe
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    noun = settings.show.replace("-", " ")
    tell(f"{count:,} {noun}", count=count)
    is_cut_short = interruption.is_requested() and not settings.is_endless
    return ExitCode.INTERRUPTED if is_cut_short else 0


if __name__ == "__main__":
    sys.exit(run_job(ConsumeSettings, consume))
