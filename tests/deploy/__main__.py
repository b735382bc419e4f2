"""Replay the Dockerfile without Docker: ``python -m tests.deploy.replay BASE TARGET`` as root.

Each stage is a copy of a root file system, in which RUN is a command of chroot and COPY takes what
.dockerignore leaves of the clone. BASE is a Debian with Python as ``python``, such as debootstrap
makes one; it stands for the image that the first FROM names. TARGET becomes the image's root file
system. It shows that each step works with nothing but what the steps before it have made: no
checkout, an empty HOME and no cache.
"""

from __future__ import annotations

import fnmatch
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from lib.setup.places import PROJECT_ROOT
from tests.deploy.documents import list_instructions

_HOME = "/root"
_ENVIRONMENT = (
    "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
    f"HOME={_HOME}",
)


def replay(base: Path, target: Path) -> None:
    """Replay every instruction in order, and print each with its seconds."""
    stages: dict[str, Path] = {}
    root, folder = base, PurePosixPath("/")
    for name, rest in list_instructions():
        started_s = time.monotonic()
        if name == "FROM":
            source, _, stage = rest.partition(" AS ")
            root = target if not stage else target.with_name(f"{target.name}.{stage}")
            copy_tree(stages.get(source, base), root)
            stages[stage or "image"] = root
            folder = PurePosixPath("/")
        elif name == "WORKDIR":
            folder = folder / rest
            (root / folder.relative_to("/")).mkdir(parents=True, exist_ok=True)
        elif name == "RUN":
            run(root, folder, ["sh", "-c", rest])
        elif name == "COPY":
            copy(rest.split(), root, folder, stages)
        print(f"{time.monotonic() - started_s:7.1f} s  {name} {rest}", flush=True)


def run(root: Path, folder: PurePosixPath, command: Sequence[str]) -> None:
    """Run a command in a root file system."""
    # Java wants /proc, which a container has.
    begin = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
    own = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", begin, str(root)]
    inside = ["env", "-i", *_ENVIRONMENT, "sh", "-c", 'cd "$0" && exec "$@"', str(folder)]
    subprocess.run([*own, *inside, *command], check=True)


def copy(words: list[str], root: Path, folder: PurePosixPath, stages: dict[str, Path]) -> None:
    """Copy from the clone, or with ``--from`` from another stage."""
    context = PROJECT_ROOT
    if words[0].startswith("--from="):
        context = stages[words.pop(0).partition("=")[2]]
    *sources, last = words
    destination = root / (folder / last).relative_to("/")
    for source in sources:
        found = context / source.lstrip("/")
        if context is not PROJECT_ROOT:
            copy_tree(found, destination)
            continue
        is_folder = found.is_dir()
        place = destination if is_folder or not last.endswith("/") else destination / found.name
        for path in list_context():
            if path == found or found in path.parents:
                goal = place / path.relative_to(found) if is_folder else place
                goal.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, goal)


def list_context() -> list[Path]:
    """List the files of the clone that .dockerignore leaves."""
    lines = (PROJECT_ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    found, pending = [], [PROJECT_ROOT]
    while pending:
        for path in pending.pop().iterdir():
            if is_ignored(path.relative_to(PROJECT_ROOT), patterns):
                continue
            if path.is_dir() and not path.is_symlink():
                pending.append(path)
            else:
                found.append(path)
    return found


def is_ignored(path: Path, patterns: Sequence[str]) -> bool:
    """Tell whether a pattern names the path, at the root or, after ``**/``, anywhere."""
    return any(
        fnmatch.fnmatch(path.name, pattern[3:])
        if pattern.startswith("**/")
        else fnmatch.fnmatch(path.as_posix(), pattern)
        for pattern in patterns
    )


def copy_tree(source: Path, destination: Path) -> None:
    """Copy a folder with owners and times, into one that exists or not."""
    destination.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", f"{source}/.", str(destination)], check=True)


if __name__ == "__main__":
    replay(Path(sys.argv[1]), Path(sys.argv[2]))
