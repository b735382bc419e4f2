"""The jars that Spark and the embedded broker need beside pyspark, fetched once.

``conf/ivy.xml`` pins each of them; the Ivy that ships inside pyspark fetches them from Maven
Central and checks their SHA-1. ``python -m lib.setup.jars`` (what ``make setup`` calls) does so,
and does nothing when they are there already. With ``connector`` it also prints those that Spark
needs, in the form of spark-submit's ``--jars``.

``conf/ivy-page.xml`` pins what the page of a job draws its charts with; it is fetched with the
others, into a folder of its own.

Few users need some of the jars: ``python -m lib.setup.jars s3`` fetches those of
``conf/ivy-s3.xml`` into a folder of their own, and prints them in the same form. With
``kafka-3.9`` they are those of an older broker, for the crash laboratory.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from lib.errors import SetupError
from lib.setup.java import find_java
from lib.setup.places import BUILD_ROOT, CONF, IS_INSTALLED, locate_pyspark

logger = logging.getLogger(__name__)

IVY_FILE = CONF / "ivy.xml"
JARS_ROOT = BUILD_ROOT / "jars"
CACHE = BUILD_ROOT / "ivy-cache"

#: The set of the page's charts.
PAGE_SET = "page"
#: Sets that Spark and the broker do not need; each has a file ``conf/ivy-NAME.xml`` and a folder.
OPTIONAL_SETS = (PAGE_SET, "s3", "kafka-3.9")

#: 60 MB usually take half a minute; after this time the connection is taken for dead.
FETCH_TIMEOUT_S = 900.0

_STAMP = ".complete"


class JarSet(StrEnum):
    """The configurations of ``conf/ivy.xml``; each has its own folder."""

    CONNECTOR = "connector"
    BROKER = "broker"


def list_jars(jar_set: str, root: Path = JARS_ROOT, pins: Path = IVY_FILE) -> list[Path]:
    """Return the fetched jars of one set, sorted by name.

    Raises:
        SetupError: the jars have not been fetched, or were fetched with older pins.
    """
    folder = root / jar_set
    jars = sorted(folder.glob("*.jar"))
    if not jars or not is_complete(root, pins):
        raise SetupError(
            f"the {jar_set} jars of conf/{pins.name} are not in {folder}",
            hint="run `python -m lib.setup.jars`" if IS_INSTALLED else None,
        )
    return jars


def is_complete(root: Path = JARS_ROOT, pins: Path = IVY_FILE) -> bool:
    """Tell whether the present folder was made from the present pins."""
    stamp = root / _STAMP
    return stamp.is_file() and stamp.read_text().strip() == _fingerprint(pins)


def provide_optional_jars(name: str) -> list[Path]:
    """Fetch the jars of an optional set where they are missing, and list them.

    Args:
        name: one of :data:`OPTIONAL_SETS`.

    Raises:
        SetupError: Java or pyspark is missing, or Maven Central cannot be reached.
    """
    pins, root = _locate_optional(name)
    fetch_jars(root, pins=pins)
    return list_jars(name, root, pins)


def list_optional_jars(name: str) -> list[Path]:
    """Return the jars of an optional set, which have been fetched.

    Args:
        name: one of :data:`OPTIONAL_SETS`.

    Raises:
        SetupError: the jars have not been fetched, or were fetched with older pins.
    """
    pins, root = _locate_optional(name)
    return list_jars(name, root, pins)


def _locate_optional(name: str) -> tuple[Path, Path]:
    """Return the pins of an optional set and the folder of its jars."""
    return IVY_FILE.with_name(f"ivy-{name}.xml"), BUILD_ROOT / f"jars-{name}"


def fetch_jars(root: Path = JARS_ROOT, cache: Path = CACHE, pins: Path = IVY_FILE) -> bool:
    """Fetch every jar of a file of pins into ``root/<configuration>``.

    Safe to run from several processes at once. A running job keeps the jars it has opened.

    Args:
        root: the folder of the jar sets; replaced as a whole, only after everything arrived.
        cache: Ivy's own download cache, so that a changed pin fetches just that jar.
        pins: an Ivy file; each of its configurations becomes a folder.

    Returns:
        True when jars were fetched, False when they were there already.

    Raises:
        SetupError: Java or pyspark is missing, or Maven Central cannot be reached.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(root.with_name(f"{root.name}.lock")):
        if is_complete(root, pins):
            return False
        fresh = root.with_name(f"{root.name}.fresh")
        shutil.rmtree(fresh, ignore_errors=True)
        # Two downloads at once would disturb each other in the cache.
        with _exclusive(cache.with_name(f"{cache.name}.lock")):
            _run_ivy(fresh, cache, pins)
        (fresh / _STAMP).write_text(f"{_fingerprint(pins)}\n")
        outdated = root.with_name(f"{root.name}.outdated")
        shutil.rmtree(outdated, ignore_errors=True)
        if root.exists():
            root.rename(outdated)
        fresh.rename(root)
        shutil.rmtree(outdated, ignore_errors=True)
        return True


def _run_ivy(target: Path, cache: Path, pins: Path) -> None:
    command = [
        str(find_java().executable),
        # On a machine without a home folder Java would make one called "?".
        f"-Divy.default.ivy.user.dir={cache}",
        "-jar",
        str(_ivy_jar()),
        "-ivy",
        str(pins),
        "-cache",
        str(cache),
        "-confs",
        "*",
        "-retrieve",
        f"{target}/[conf]/[artifact]-[revision](-[classifier]).[ext]",
    ]
    logger.debug("starting Ivy command=%s", command)
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SetupError(
            f"Ivy did not finish fetching the jars of {pins} within {FETCH_TIMEOUT_S:.0f} s",
            hint="check the line to Maven Central, then run the command again",
        ) from error
    if run.returncode != 0:
        raise SetupError(
            f"Ivy could not fetch the jars of {pins}: {_reason(run.stdout + run.stderr)}",
            hint="check the line to Maven Central, then run the command again",
        )


def _reason(output: str) -> str:
    """Return the first error in Ivy's output, and the number of others."""
    telling = ("not found", "FAILED", "Host", "timed out", "refused", "Exception", "rror")
    lines = dict.fromkeys(line.strip(": \t") for line in output.splitlines())
    found = [line for line in lines if any(word in line for word in telling)]
    if not found:
        return "no reason given"
    return found[0] if len(found) == 1 else f"{found[0]}, and {len(found) - 1} more like it"


def _ivy_jar() -> Path:
    folder = locate_pyspark() / "jars"
    jars = sorted(folder.glob("ivy-*.jar"))
    if not jars:
        raise SetupError(f"no ivy-*.jar in {folder}")
    return jars[-1]


def _fingerprint(pins: Path) -> str:
    if not pins.is_file():
        raise SetupError(f"{pins} is missing", hint="it is delivered with the project: restore it")
    return hashlib.sha256(pins.read_bytes()).hexdigest()


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Fetch missing jars, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lib.setup.jars", description=__doc__)
    parser.add_argument("jar_set", nargs="?", choices=(JarSet.CONNECTOR.value, *OPTIONAL_SETS))
    jar_set = parser.parse_args().jar_set
    try:
        if jar_set is None:
            _fetch_and_tell()
        elif jar_set == JarSet.CONNECTOR:
            fetch_jars()
            print(",".join(map(str, list_jars(jar_set))))
        else:
            print(",".join(map(str, provide_optional_jars(jar_set))))
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _fetch_and_tell() -> None:
    if not is_complete():
        print("fetching the Kafka connector and broker jars (once, about 55 MB) ...", flush=True)
        fetch_jars()
    folder = JARS_ROOT if IS_INSTALLED else os.path.relpath(JARS_ROOT)
    counts = ", ".join(f"{name}: {len(list_jars(name))}" for name in JarSet)
    provide_optional_jars(PAGE_SET)
    print(f"jars in {folder} ({counts})")


if __name__ == "__main__":
    sys.exit(main())
