"""The documents' shell commands exist, and those marked ``test: run`` are run."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_backend import PACKAGE
from lib.settings.load import load_settings
from lib.settings.registry import JOB_SETTINGS
from tests.docs.documents import ROOT, Block, iter_blocks, list_documents

RUN_MARK = "run"
TIMEOUT_S = 120.0

# Programs that readers have already, or are told how to get. Kafka's tools have the names that they
# have in its archive.
FOREIGN = frozenset(
    {
        "git",
        "cd",
        "cp",
        "sed",
        "export",
        "rm",
        "kill",
        "cat",
        "java",
        "grep",
        "curl",
        "pip",
        "chmod",
        "docker",
        "kubectl",
        "systemctl",
        "openssl",
    }
)
KAFKA_TOOLS = frozenset(
    f"kafka-{name}.sh"
    for name in (
        *("topics", "acls", "configs", "transactions", "consumer-groups"),
        *("console-consumer", "console-producer", "delete-records"),
    )
)
PYTHONS = (".venv/bin/python", "python")
SUBMITS = ("./spark-submit.sh", "spark-submit")
# Folders of the project that a command may name.
FOLDERS = (
    *("jobs/", "lib/", "conf/", "docs/", "deploy/", "tests/", "benchmarks/", "requirements/"),
)
_ASSIGNMENT = re.compile(r"[A-Z_]+=")


def iter_commands(document: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (place, words) of every command in those shell blocks that no test runs."""
    for block in iter_blocks(document, "bash", "console"):
        if block.mark == RUN_MARK:
            continue
        for line in _command_lines(block):
            for words in _split_pipeline(line):
                yield block.place, words


def _command_lines(block: Block) -> Iterator[str]:
    text = block.text.replace("\\\n", " ")
    for line in text.splitlines():
        if block.language == "console":
            if line.startswith("$ "):
                yield line.removeprefix("$ ")
        elif line.strip() and not line.startswith("#"):
            yield line


def _split_pipeline(line: str) -> Iterator[list[str]]:
    words: list[str] = []
    for word in [*shlex.split(line, comments=True), ";"]:
        if word in (";", "|", "&&", "&"):
            if words:
                yield words
            words = []
        else:
            words.append(word)


def list_targets() -> set[str]:
    """Return the names of the Makefile's targets."""
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def check_command(words: list[str]) -> None:
    """Raise AssertionError if the command cannot be right."""
    while _ASSIGNMENT.match(words[0]):
        words = words[1:]
    for word in words:
        if word.startswith(FOLDERS):
            assert (ROOT / word).exists(), f"there is no {word}"
    program, arguments = words[0], words[1:]
    if program == "make":
        targets = [word for word in arguments if "=" not in word]
        assert set(targets) <= list_targets(), targets
    elif program in PYTHONS:
        check_python(arguments)
    elif program in SUBMITS:
        job = next(index for index, word in enumerate(arguments) if word.startswith("jobs/"))
        check_job(arguments[job], arguments[job + 1 :])
    else:
        assert program in FOREIGN | KAFKA_TOOLS, f"unknown program {program}"


def check_python(arguments: list[str]) -> None:
    """Check that the module or script exists, and that a job accepts its options."""
    match arguments:
        case ["-c", code]:
            compile(code, "-c", "exec")
        case ["-m", module, *_]:
            path = ROOT / module.replace(PACKAGE, "lib").replace(".", "/")
            is_there = path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()
            assert is_there or module in ("pytest", "pip", "venv"), f"no module {module}"
        case [script, *options] if script.startswith("jobs/"):
            check_job(script, options)
        case _:
            raise AssertionError(f"unknown way to call Python: {arguments}")


def check_job(script: str, options: list[str]) -> None:
    """Load the job's settings from the options, as the job does."""
    options = [word for word in options if word != "…"]
    if options == ["--help"]:
        return
    # The commands of contract.py work on files and take arguments, not settings.
    if Path(script).stem == "contract":
        runpy.run_path(str(ROOT / script))["build_parser"]().parse_args(options)
        return
    # The variable's name stands for the value that the shell would put there.
    load_settings(JOB_SETTINGS[Path(script).stem], [w.replace("$", "") for w in options], {})


@pytest.mark.parametrize("document", list_documents())
def test_commands_exist_and_take_their_options(
    document: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    for place, words in iter_commands(document):
        try:
            check_command(words)
        except (Exception, SystemExit) as error:
            raise AssertionError(f"{place}: {shlex.join(words)}: {error}") from error


def test_the_checker_objects_to_what_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    wrong = (
        "make everything",
        "./spark-submit.sh jobs/score_stream.py --trigger soon",
        "./spark-submit.sh jobs/score_stream.py --no-such-flag",
        ".venv/bin/python jobs/contract.py infer --data loans.csv --no-such-flag",
        ".venv/bin/python jobs/no_such_job.py",
        ".venv/bin/python -m lib.nothing",
        "kafka-magic.sh",
    )
    for line in wrong:
        with pytest.raises((Exception, SystemExit)):
            check_command(shlex.split(line))


def list_runnable() -> list[Block]:
    """Return the console blocks that are marked to be run."""
    blocks = [block for name in list_documents() for block in iter_blocks(name, "console")]
    return [block for block in blocks if block.mark == RUN_MARK]


@pytest.fixture
def clone(model_store: Path, tmp_path: Path) -> Path:
    """Make a folder that looks like the clone, with a copy of the model store."""
    for name in ("lib", "jobs", "conf", "benchmarks", "spark-submit.sh", "Makefile"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(model_store, tmp_path / "models")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return tmp_path


@pytest.mark.parametrize("block", list_runnable(), ids=lambda block: block.place)
def test_marked_commands_print_what_the_document_says(block: Block, clone: Path) -> None:
    for command, expected in split_console(block.text):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=clone,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        printed = "\n".join(line.rstrip() for line in (done.stdout + done.stderr).splitlines())
        # As in doctest, … stands for any text.
        pattern = ".*".join(map(re.escape, expected.split("…")))
        assert re.fullmatch(pattern, printed, re.DOTALL), f"{block.place}: {command}\n{printed}"


def split_console(text: str) -> list[tuple[str, str]]:
    """Return (command, expected output) for each ``$`` line."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    pairs = (part.partition("\n") for part in parts if part.strip())
    return [(command, output.strip("\n")) for command, _, output in pairs]
