"""Prepares the start of Spark's JVM: Java, options, class path, settings and variables.

``spark-submit.sh``, the sessions of training and replay, the recording of the class archive and the
session of the tests use this module. ``python -m lib.setup.launch FOLDER [WORDS]`` prints six lines
for the wrapper, which was called in the folder with these words: the zip of ``lib``, the JVM's
options, the class path that goes before Spark's, the local master, the folder of its sockets, and
the form of the log. With ``--installed`` before the folder the options and the class path are those
of the Spark in this Python's environment; without, the Spark is the user's own, and gets neither an
archive of classes nor a class path.

The module imports without PySpark, because every start of a job waits for the answer.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lib.errors import SetupError
from lib.log_lines import build_error_line
from lib.setup.cores import count_cores
from lib.setup.jars import JarSet, list_jars
from lib.setup.java import Java, find_java
from lib.setup.library import provide_library
from lib.setup.log.form import JSON, find_log_format
from lib.setup.machine import LOOPBACK, check_loopback, check_user
from lib.setup.places import BUILD_ROOT, CONF, PROJECT_ROOT, locate_pyspark
from lib.setup.whole_file import need_written_folder

LOG_SETTINGS = CONF / "log4j2.properties"
SPARK_DEFAULTS = CONF / "spark-defaults.conf"

#: Java's warnings about single classes that it cannot archive, or an archive that does not fit, are
#: of no use to the user.
QUIET = ("-Xlog:disable", "-Xlog:all=error:stderr")

# The two processes of a task that scores in Python wait for each other in turn: with one task for
# each core, a quarter of the processor time was idle.
_SLOTS_PER_CORE = 2
_JAVA_TEMPORARY = "/tmp"  # noqa: S108  Java's default, whatever TMPDIR says
# A socket's path has at most 107 bytes, of which Spark's name for it takes 43.
_LONGEST_FOLDER = 64
# Two of the delivered settings. Over TCP each Python task waits 40 ms for its first batch.
_KEPT = ("spark.driver.memory", "spark.python.unix.domain.socket.enabled")


def list_class_path() -> list[Path]:
    """Return the jars that come before Spark's: the Kafka connector, if it has been fetched."""
    try:
        return list_jars(JarSet.CONNECTOR)
    except SetupError:
        return []


def join_class_path() -> str:
    """Return the class path in the form of ``spark.driver.extraClassPath``."""
    return os.pathsep.join(map(str, list_class_path()))


def locate_archive(java: Java, folder: Path = BUILD_ROOT / "cds") -> Path:
    """Return the path of the archive of classes for this Java and this Spark, if it exists or not.

    Java compares the class path by name, so a moved clone has another archive.
    """
    parts = (
        *(java.version, str(java.executable.resolve()), str(provide_spark_home())),
        *(importlib.metadata.version("pyspark"), join_class_path()),
    )
    return folder / f"spark-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16]}.jsa"


def list_jvm_options(java: Java, *, is_installed: bool = True) -> list[str]:
    """Return the JVM's options that depend on this machine: logging, and the archive of classes.

    Args:
        java: the Java that runs Spark.
        is_installed: whether the Spark is that of this Python's environment. Only then there may be
            an archive.
    """
    # It is a URI, because Log4j decodes %41 in a plain path, and a URI has no blank and no quote.
    options = [f"-Dlog4j2.configurationFile={LOG_SETTINGS.as_uri()}"]
    # Java does not read TMPDIR; Spark's own scratch folder is in Java's.
    if (temporary := tempfile.gettempdir()) != _JAVA_TEMPORARY:
        options.append(f"-Djava.io.tmpdir={temporary}")
    if is_installed and (archive := locate_archive(java)).is_file():
        options += [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto", *QUIET]
    return options


def name_local_master() -> str:
    """Return Spark's name for a master in this process, like ``local[4]``."""
    return f"local[{count_cores() * _SLOTS_PER_CORE}]"


def choose_socket_folder() -> str:
    """Return the folder of the sockets between the local JVM and Python: that of temporary files.

    Where its path is too long for a socket, this is Java's own folder of temporary files.
    """
    temporary = tempfile.gettempdir()
    return temporary if len(os.fsencode(temporary)) <= _LONGEST_FOLDER else _JAVA_TEMPORARY


def read_spark_defaults(path: Path = SPARK_DEFAULTS) -> dict[str, str]:
    """Read the settings that the wrapper gives spark-submit: key → value, maybe empty."""
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.split(None, 1) for line in lines if line and not line.startswith("#"))
    return {pair[0]: pair[1] if len(pair) > 1 else "" for pair in pairs}


def build_local_settings() -> dict[str, str]:
    """Build the settings of a quiet session whose JVM this process starts.

    Raises:
        SetupError: there is no Java that Spark runs on, or the machine lacks what Spark needs.
    """
    check_user()
    check_loopback()
    defaults = read_spark_defaults()
    options = (f'"{option}"' for option in list_jvm_options(find_java()))
    return {
        "spark.master": name_local_master(),
        "spark.driver.bindAddress": LOOPBACK,
        "spark.driver.host": LOOPBACK,
        **{name: defaults[name] for name in _KEPT},
        "spark.driver.extraClassPath": join_class_path(),
        "spark.driver.extraJavaOptions": " ".join(
            [defaults["spark.driver.extraJavaOptions"], *options]
        ),
        "spark.python.unix.domain.socket.dir": choose_socket_folder(),
        "spark.hadoop.fs.permissions.umask-mode": f"{_read_umask():04o}",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }


def _read_umask() -> int:
    umask = os.umask(0o077)  # it can be read only by setting it
    os.umask(umask)
    return umask


def build_variables(inherited: Mapping[str, str]) -> dict[str, str]:
    """Build variables with which a local Spark's workers run this Python and find this package.

    Args:
        inherited: the environment, whose choice of a Spark and of a Python is kept.
    """
    own = {
        "SPARK_HOME": str(provide_spark_home()),
        "SPARK_LOCAL_IP": LOOPBACK,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }
    paths = [str(PROJECT_ROOT), *filter(None, [inherited.get("PYTHONPATH")])]
    chosen = {name: inherited.get(name, value) for name, value in own.items()}
    return {**chosen, "PYTHONPATH": os.pathsep.join(paths)}


@contextmanager
def lend_variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Give the process these environment variables within the block.

    A JVM and its Python workers keep the variables that the JVM was started with. Later processes,
    such as another job, must not get this session's Spark and options.
    """
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@need_written_folder()
def provide_spark_home(view: Path = BUILD_ROOT / "spark-home") -> Path:
    """Return a home of the installed Spark for local sessions, and make it if it is missing.

    It is pyspark's own without ``python/lib/pyspark.zip``: from the zip, every driver and every
    Python worker would compile pyspark's modules again, 0.5 s each; without it they find the
    installed, compiled ones.

    Raises:
        SetupError: the home is missing and cannot be made.
    """
    installed = locate_pyspark()
    for name in ("bin", "jars"):
        link = view / name
        if not link.exists() or link.resolve() != (installed / name).resolve():
            view.mkdir(parents=True, exist_ok=True)
            fresh = view / f".{name}.{os.getpid()}"
            fresh.symlink_to(installed / name)
            fresh.replace(link)
    return view


def main() -> int:
    """Answer ``spark-submit.sh``, and return the exit code."""
    words = sys.argv[1:]
    is_installed = words[:1] == ["--installed"]
    folder, *arguments = words[is_installed:] or ["."]
    log_format = find_log_format(arguments, os.environ, Path(folder))
    try:
        java = find_java()
        check_user()
        check_loopback()
        answer = [
            str(provide_library()),
            shlex.join(list_jvm_options(java, is_installed=is_installed)),
            join_class_path() if is_installed else "",
            name_local_master(),
            choose_socket_folder(),
            log_format,
        ]
    except SetupError as error:
        line = build_error_line(error) if log_format == JSON else f"error: {error}"
        print(line, file=sys.stderr)
        return 1
    print("\n".join(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
