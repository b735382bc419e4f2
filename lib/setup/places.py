"""Locates the delivered files and Spark, and the folders for fetched and recorded files.

In a clone these are its folders ``conf`` and ``build``. An installed package has its ``conf``
inside, and keeps what it fetches in the user's cache, ``$XDG_CACHE_HOME`` or ``~/.cache``, below
its own name and version, since each version needs its own.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from lib import __version__
from lib.errors import SetupError

#: The folder of this package.
PACKAGE = Path(__file__).resolve().parents[1]
# Not Path.home(), which raises where a process has no home folder.
_CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111

#: Whether this is an installed package, as a wheel holds it, and no clone.
IS_INSTALLED = (PACKAGE / "conf").is_dir()
#: The folder that has the package in it: the clone, or where packages are installed.
PROJECT_ROOT = PACKAGE.parent
#: The folder of the delivered settings, contracts and pins.
CONF = (PACKAGE if IS_INSTALLED else PROJECT_ROOT) / "conf"
#: The folder of what is fetched and recorded; it may be missing.
BUILD_ROOT = Path(_CACHE) / PACKAGE.name / __version__ if IS_INSTALLED else PROJECT_ROOT / "build"


def locate_pyspark() -> Path:
    """Return the folder of the installed pyspark, which holds Spark, without importing it.

    Raises:
        SetupError: pyspark is not installed.
    """
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        hint = "install this package with its extra `stream`" if IS_INSTALLED else None
        raise SetupError("pyspark is not installed", hint=hint)
    return Path(spec.origin).parent
