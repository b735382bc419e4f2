"""Prints the rest of spark-submit's command line for a driver on another machine.

``spark-submit.sh`` calls ``python -m lib.tools.deploy FILES ARCHIVES yes|no JOB [job options]``,
which prints each word with a NUL behind it. FILES and ARCHIVES are those of the caller, maybe
empty; "yes" says that the other machines have a Python that runs the job, so that none is sent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lib.exit_codes import ExitCode
from lib.settings.base import ModelSettings
from lib.settings.command import run_command
from lib.settings.load import load_settings
from lib.settings.registry import JOB_SETTINGS
from lib.setup.launch import LOG_SETTINGS
from lib.setup.places import PROJECT_ROOT
from lib.tools.deploy.model_archive import pack_model
from lib.tools.deploy.python_archive import provide_archive
from lib.tools.deploy.sending import (
    ENVIRONMENT_NAME,
    Sending,
    name_sent,
    plan_arguments,
    point_to_python,
)

# The end of the name of a caller's archive that replaces the one from here.
_OWN_ENVIRONMENT = f"#{ENVIRONMENT_NAME}"


def send(
    files: str, archives: str, *, has_python: bool, job: Path, arguments: Sequence[str]
) -> Sending:
    """Pack the model and the Python environment, if they have to be sent.

    Args:
        files: the caller's files, with commas between them; maybe empty.
        archives: the caller's archives, with commas between them; maybe empty.
        has_python: whether the other machines have a Python that runs the job; else one is sent.
        job: the script. The arguments of a script that is not the project's are not changed.
        arguments: the arguments of the job.

    Raises:
        ScoringError: the job's settings are wrong, or it has no model.
    """
    sending = Sending(arguments=tuple(arguments))
    kind = JOB_SETTINGS.get(job.stem)
    if kind is not None and job.resolve().parent == PROJECT_ROOT / "jobs":
        settings = load_settings(kind, arguments)
        model = pack_model(settings) if isinstance(settings, ModelSettings) else None
        sending = plan_arguments(settings, arguments, os.environ, model)
    packed = list(sending.archives)
    conf = dict(sending.conf)
    if not has_python:
        if not archives.endswith(_OWN_ENVIRONMENT) and f"{_OWN_ENVIRONMENT}," not in archives:
            packed.append(name_sent(provide_archive(), ENVIRONMENT_NAME))
        conf |= point_to_python()
    return replace(
        sending,
        files=(*filter(None, [files]), name_sent(LOG_SETTINGS, LOG_SETTINGS.name), *sending.files),
        archives=(*filter(None, [archives]), *packed),
        conf=conf,
    )


def main(words: Sequence[str]) -> int:
    """Print the words of the command line, and return the exit code."""
    files, archives, whose, job, *arguments = words

    def print_words() -> int:
        sending = send(
            files, archives, has_python=whose == "yes", job=Path(job), arguments=arguments
        )
        sys.stdout.write("".join(f"{word}\0" for word in sending.build_words(job)))
        return ExitCode.DONE

    return run_command(print_words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
